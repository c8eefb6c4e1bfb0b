"""Stock Hugging Face folders, both ways, without transformers. The maps stand in stock_classes.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from lilliput.base.config import validate
from lilliput.base.errors import FileError, ModelError
from lilliput.base.files import write_json
from lilliput.base.reading import inner, read_object
from lilliput.model.biases import with_zero_biases
from lilliput.model.config import ModelConfig
from lilliput.model.heads import Head
from lilliput.model.loading import load
from lilliput.model.places import to_theirs
from lilliput.model.plain import KINDS, altered, hooked
from lilliput.model.source import Source
from lilliput.model.stock import Stock
from lilliput.model.stock_classes import STOCK
from lilliput.model.stock_heads import head_notes, head_settings, head_state, read_head
from lilliput.model.transformer import Model
from lilliput.model.weights import write_tensors

OWN = "lilliput"
"""The key of config.json that holds our config, and the model_type of a folder that no stock class reads."""
READ_BACK_TOKENS = 8
READ_BACK, READ_BACK_ROUNDED = 1e-4, 0.05
"""The largest difference of logits when a folder is read back, as a share of the largest logit. The first bound is for
a model in fp32 on the CPU, which computes as the folder's reader does. The second bound is for a GPU or another
precision, where products are rounded."""


def huggingface_class(config: ModelConfig) -> tuple[str | None, list[str]]:
    """Return the stock class that computes exactly this config, or None with the misfits of every class."""
    stock = stock_of(config)
    if stock is not None:
        return stock.architecture, []
    return None, [f"{stock.architecture}: {', '.join(stock.misfits(config))}" for stock in STOCK]


def stock_of(config: ModelConfig) -> Stock | None:
    """Return the first stock class that computes exactly this config, or None."""
    return next((stock for stock in STOCK if not stock.misfits(config)), None)


def refuses(model: Model) -> list[str]:
    """Return the reasons why no stock class computes exactly this model: the fields of its config by class, then
    modules and tensors that no class has, and active hooks, which no folder holds. Empty when a class computes the
    model."""
    return [*huggingface_class(model.config)[1], *altered(model, KINDS), *hooked(model)]


def to_huggingface(
    model: Model,
    folder: Path | str,
    *,
    bos_token_id: int | None = None,
    eos_token_id: int | None = None,
    pad_token_id: int | None = None,
    extra: dict[str, Any] | None = None,
    head: Head | None = None,
) -> None:
    """Write config.json, generation_config.json and model.safetensors into `folder`, which is made if need be. With a
    `head` the folder is that of the class ...ForSequenceClassification, or ...ForTokenClassification for a head of each
    token.

    The same weights give the same bytes. config.json holds our config and `extra` under "lilliput". A config that no
    stock class computes is written under our own names, with the reasons. Only `from_huggingface` reads such a folder.

    Raises ModelError, before anything is written, for a model that differs from a new model of its config: no folder
    can hold a module that was wrapped or replaced; and for a head where the class has none. With active hooks the
    folder is read back, because it cannot hold a hook that changes logits.
    """
    folder = Path(folder)
    if reasons := altered(model):
        raise ModelError(
            f"no folder can hold this model: {'; '.join(reasons)}",
            "merge the added modules into the weights first, or make them parts with a field in ModelConfig",
        )
    config, odd = model.config, altered(model, KINDS)
    stock = None if odd else stock_of(config)
    labels = {} if head is None else head_settings(stock, head)
    folder.mkdir(parents=True, exist_ok=True)
    ids = {"bos_token_id": bos_token_id, "eos_token_id": eos_token_id, "pad_token_id": pad_token_id}
    if config.encoder_layers:
        ids["decoder_start_token_id"] = pad_token_id  # transformers begins a text with it, as T5 does
    own = {**(extra or {}), "config": config.model_dump(mode="json")}
    dtype = str(model.embed.weight.dtype).removeprefix("torch.")
    state = model.state_dict()
    if stock is None:
        own["no_stock_class"] = [*huggingface_class(config)[1], *odd]
        own |= {} if head is None else head_notes(head)
        described = {"architectures": ["LilliputModel"], "model_type": OWN}
    else:
        described = {"architectures": [stock.architecture], "model_type": stock.model_type, **stock.settings(config)}
        state = to_theirs(with_zero_biases(model) if stock.always_biased else state, stock.names, config)
    if head is not None:
        state = {**state, **head_state(stock, head)}
    write_tensors(folder, state)
    settings = {**described, **labels, **ids, "use_cache": True, "dtype": dtype}
    write_json(folder / "config.json", {**settings, OWN: own})
    write_json(folder / "generation_config.json", ids)
    if hooked(model):
        read_back(model, folder, head)


def read_back(model: Model, folder: Path, head: Head | None = None) -> None:
    """Read the folder that was written of `model` and `head` and compare: every tensor to the last bit, and the logits
    of a few tokens. Raises ModelError where they differ, or where the folder cannot be read."""
    again, probe = from_huggingface(folder), _probe(model.config)
    ours, theirs = model.state_dict(), again.state_dict()
    if head is not None:
        stored = read_head(folder, model.config)
        ours |= {f"the head's {name}": tensor for name, tensor in head.state_dict().items()}
        theirs |= {f"the head's {name}": tensor for name, tensor in stored.state_dict().items()} if stored else {}
    unlike = [name for name in {**ours, **theirs} if not _same_bits(ours.get(name), theirs.get(name))]
    if unlike:
        raise ModelError(f"{folder}, read back: {len(unlike)} of {len(ours)} tensors differ, first {unlike[0]}")
    logits, expected = _logits(again, probe), _logits(model, probe)
    apart_by, size = float((logits - expected).abs().max()), float(expected.abs().max())
    exact = model.embed.weight.device.type == "cpu" and model.embed.weight.dtype == torch.float32
    if not apart_by <= (READ_BACK if exact else READ_BACK_ROUNDED) * max(1.0, size) and expected.isfinite().all():
        hooks = f"; active: {', '.join(hooked(model))}" if hooked(model) else ""
        raise ModelError(
            f"{folder}, read back, is another model: logits differ by {apart_by:.2g} and reach {size:.2g}{hooks}",
            "before you save the model, remove the hooks that change its results" if hooks else None,
        )


def _same_bits(one: torch.Tensor | None, other: torch.Tensor | None) -> bool:
    """Return whether both tensors exist and hold the same float32 numbers, NaN included."""
    if one is None or other is None:
        return False
    a, b = (tensor.detach().float().cpu().contiguous().view(torch.int32) for tensor in (one, other))
    return torch.equal(a, b)


def _probe(config: ModelConfig) -> torch.Tensor:
    """(1, T) int64: a few ids, spread over the vocabulary."""
    length = min(READ_BACK_TOKENS, config.context_length)
    return torch.arange(1, length + 1)[None] * 7919 % config.vocab_size


def _logits(model: Model, tokens: torch.Tensor) -> torch.Tensor:
    """Return logits (1, T, vocab_size) float32 on the CPU, without gradient, dropout and autocast. The model's mode
    does not change."""
    device, modes = model.embed.weight.device, [(module, module.training) for module in model.modules()]
    try:
        for module, _ in modes:
            module.training = False
        with torch.no_grad(), torch.autocast(device.type, enabled=False):
            tokens = tokens.to(device)
            source = None if model.encoder is None else Source(tokens.flip(1))
            return model.logits(model(tokens, source=source)).float().cpu()
    finally:
        for module, mode in modes:
            module.training = mode


def from_huggingface(folder: Path | str, notify: Callable[[str], None] = lambda text: None) -> Model:
    """Return the model in a folder of a stock class or of our own class, in fp32 and eval mode.

    The reader accepts the folders of `to_huggingface` and of transformers' `save_pretrained`, in any float dtype, in
    one file or in shards. Where the weights contradict config.json, the weights count, and `notify` gets a line. Raises
    ModelError for another class, a feature without a part, damaged files, missing or unknown tensors, and tensors of a
    wrong shape.
    """
    config, stock = read_config(folder)
    return load(Path(folder), config, stock, notify)


def read_config(folder: Path | str) -> tuple[ModelConfig, Stock | None]:
    """The config in the folder's config.json, and its stock class (None: our own). Raises ModelError."""
    where = str(Path(folder) / "config.json")
    try:
        raw = read_object(where)
    except OSError as error:
        raise ModelError(f"cannot read {where}: {error.strerror}", "give a folder in Hugging Face's layout") from None
    except FileError as error:
        raise ModelError(error.message) from None
    own = inner(raw, OWN)
    if raw.get("model_type") == OWN:
        return validate(ModelConfig, own.get("config") or {}, where), None
    stock = next((stock for stock in STOCK if stock.model_type == raw.get("model_type")), None)
    if stock is None:
        raise ModelError(
            f"{where} describes a '{raw.get('model_type')}' model ({_classes(raw)})",
            f"supported: {', '.join(stock.architecture for stock in STOCK)}",
        )
    config = stock.read(raw, where)
    if own.get("config"):
        config = _recalled(config, validate(ModelConfig, own["config"], where), stock)
    return config, stock


def _classes(raw: Mapping[str, Any]) -> str:
    named = raw.get("architectures")
    return ", ".join(map(str, named)) if isinstance(named, list) and named else "?"


def _recalled(read: ModelConfig, ours: ModelConfig, stock: Stock) -> ModelConfig:
    """Return our own config where the stock keys agree with it. Where the stock keys were edited later, their values
    count. A field that no stock key can express keeps our value, because the model would change without it."""
    fields = ModelConfig.model_fields
    silent = {"style", "init", "dropout"} | ({"bias"} if stock.always_biased else set())
    edited = {name for name in fields if name in stock.fields and getattr(read, name) != getattr(ours, name)}
    if not edited - silent:
        return ours
    return read.model_copy(update={name: getattr(ours, name) for name in fields if name not in stock.fields})
