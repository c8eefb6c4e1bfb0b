"""Loading: a model of a config, filled from a folder's tensors after their shapes were checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from lilliput.base.differences import apart
from lilliput.base.errors import ModelError
from lilliput.base.reading import read_object
from lilliput.model.biases import absent_biases
from lilliput.model.bounds import check_stored
from lilliput.model.config import ModelConfig
from lilliput.model.heads import through_prediction
from lilliput.model.places import find, to_ours, to_theirs
from lilliput.model.stock import Stock
from lilliput.model.stock_heads import OWN_NAMES, has_head_tensors
from lilliput.model.transformer import Model
from lilliput.model.weights import read_tensors, stored_bytes, tensor_shapes

_PREDICTION_HEAD = ("head.dense.weight", "head.dense.bias", "head.norm.weight", "head.norm.bias")


def load(folder: Path, config: ModelConfig, stock: Stock | None, notify: Callable[[str], None]) -> Model:
    """Build, check every shape against the files' headers, then fill."""
    found = tensor_shapes(folder)
    if stock is not None and config.tied_embeddings and _has_own_head(found, config, stock):
        notify(f"{folder}: config.json ties the embeddings, but the file has a separate head; the model gets this head")
        config = config.model_copy(update={"tied_embeddings": False})
    if stock is not None and not config.tied_embeddings and _needs_no_unembedding(folder, found, config, stock):
        notify(f"{folder} holds a model with no unembedding: its embeddings count as tied")
        config = config.model_copy(update={"tied_embeddings": True})
    check_stored(config, stored_bytes(found), str(folder / "config.json"))
    full = config.model_copy(update={"bias": True}) if stock is not None and stock.always_biased else config
    with torch.device("meta"):
        blank = Model(full, seed=None).state_dict()
    names = {(name if stock is None else stock.known_as(name, found)): name for name in found}
    neutral = {} if stock is None else _neutral(folder, config, stock, blank, names)
    if neutral:
        notify(f"{folder} holds no layers for predictions of tokens: they are set to change nothing, and are untrained")
    blank = {name: tensor for name, tensor in blank.items() if name not in neutral}
    shapes = blank if stock is None else to_theirs(blank, stock.names, config)
    _check(
        folder, {name: tuple(t.shape) for name, t in shapes.items()}, {n: found[f][1] for n, f in names.items()}, stock
    )
    places_ = {names[name]: name for name in shapes}
    theirs = {places_[name]: tensor.float() for name, tensor in read_tensors((f, found[f][0]) for f in places_)}
    state = theirs if stock is None else to_ours(theirs, blank, stock.names, config)
    if full.bias and not config.bias:
        biases = absent_biases(config)
        if any(bool(state[name].any()) for name in biases):
            config = full
        else:
            state = {name: tensor for name, tensor in state.items() if name not in biases}
    model = Model(config, seed=None)
    model.load_state_dict({**state, **neutral})
    return model.eval()


def _has_own_head(found: Mapping[str, tuple[Path, tuple[int, ...]]], config: ModelConfig, stock: Stock) -> bool:
    """Return whether the files hold a head of the embeddings' shape with other numbers. transformers also unties the
    head then."""
    ours = {stock.known_as(name, found): name for name in found}
    pair = [ours.get(stock.names[name].names[0]) for name in ("embed.weight", "unembed.weight")]
    if None in pair or found[str(pair[0])][1] != found[str(pair[1])][1]:
        return False
    read = dict(read_tensors((str(name), found[str(name)][0]) for name in pair))
    return not torch.equal(read[str(pair[0])], read[str(pair[1])])


def _is_of_another_class(folder: Path, config: ModelConfig, stock: Stock) -> bool:
    """Return whether config.json names the class of an encoder without predictions of tokens, such as BertModel."""
    named = read_object(folder / "config.json").get("architectures")
    return not config.causal and isinstance(named, list) and bool(named) and stock.architecture not in named


def _neutral(
    folder: Path, config: ModelConfig, stock: Stock, blank: Mapping[str, torch.Tensor], names: Mapping[str, str]
) -> dict[str, torch.Tensor]:
    """Return tensors that change nothing, by our names, for the layers that only predictions of tokens need, where the
    folder is that of another class of an encoder, and holds none of them. `names` are the folder's tensors by the
    stock class's names."""
    if not _is_of_another_class(folder, config, stock):
        return {}
    lacking = {
        ours
        for ours in (*_PREDICTION_HEAD, "unembed_bias")
        if ours in blank and not names.keys() & {*find(ours, stock.names, config)[1]}
    }
    kept = {ours for ours in _PREDICTION_HEAD if ours in blank} - lacking
    read_by_head = through_prediction(config) and has_head_tensors(stock, names)
    if kept or read_by_head:  # these layers are there, or a part of them is missing, which is an error
        lacking &= {"unembed_bias"}
    made = {ours: torch.zeros(blank[ours].shape) for ours in lacking}
    if "head.dense.weight" in made:
        made["head.dense.weight"] = torch.eye(config.d_model)
    if "head.norm.weight" in made:
        made["head.norm.weight"] = torch.ones(config.d_model)
    return made


def _needs_no_unembedding(
    folder: Path, found: Mapping[str, tuple[Path, tuple[int, ...]]], config: ModelConfig, stock: Stock
) -> bool:
    """Return whether a folder without an unembedding is that of a class that has none."""
    if stock.names["unembed.weight"].names[0] in {stock.known_as(name, found) for name in found}:
        return False
    return has_head_tensors(stock, found) or _is_of_another_class(folder, config, stock)


def _check(folder: Path, wanted: dict[str, Any], found: dict[str, Any], stock: Stock | None) -> None:
    """Raise ModelError, with numbers, unless the tensors fit the config."""
    missing = [name for name in wanted if name not in found]
    known = OWN_NAMES if stock is None else {name for name in found if stock.ignorable(name)}
    unknown = [name for name in found if name not in wanted and name not in known]
    if missing or unknown:
        raise ModelError(f"{folder}: of the {len(wanted)} tensors that config.json asks for, {apart(missing, unknown)}")
    for name, shape in wanted.items():
        if found[name] != shape:
            raise ModelError(f"{folder}: {name} is {list(found[name])}, but config.json asks for {list(shape)}")
