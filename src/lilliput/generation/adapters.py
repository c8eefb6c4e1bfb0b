"""Adapters on a loaded model: each is a text generator whose matrices hold the adapter, and which shares all else."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from lilliput.base.console import size
from lilliput.base.errors import ModelError
from lilliput.base.files import read_json, sha256
from lilliput.data.tokenizer import Tokenizer
from lilliput.decoding.ends import ends_of
from lilliput.decoding.int8 import quantised
from lilliput.generation.loading import faster, objective_of
from lilliput.generation.text_generator import TextGenerator
from lilliput.model.adapter import merge
from lilliput.runs.finding import adapter_folder
from lilliput.runs.names import ORIGIN, STATE

if TYPE_CHECKING:
    from lilliput.model.transformer import Model


def with_adapter(
    base: TextGenerator, base_folder: Path, path: str | Path, notify: Callable[[str], None], int8: bool = False
) -> TextGenerator:
    """Return a generator of `base` (fp32, loaded from `base_folder`) with the adapter at `path`: an adapter's folder, a
    checkpoint, or a run.

    The adapter's matrices are merged into copies of the base's, so that native steps compute them; every other weight
    is the base's own memory. With `int8` the copies are int8. Tokenizer and chat template are the adapter's, where its
    folder holds them. Raises CheckpointError where there is no adapter, and ModelError for an adapter of another
    base."""
    folder = adapter_folder(path, notify)
    _check_base(folder, base_folder)
    model = merged_copy(base.model, folder)
    own = sum(_bytes(one) for name, one in model.named_parameters() if one is not base.model.get_parameter(name))
    notify(f"adapter {path}: {size(own)} of merged matrices; all other weights are those of the base")
    model = quantised(model) if int8 else model
    tokenizer = base.tokenizer
    if (folder / "tokenizer.json").is_file():
        tokenizer = Tokenizer.load(folder)
        if tokenizer.chat_template is None:
            tokenizer = tokenizer.with_template(base.tokenizer.chat_template)
        if tokenizer.vocab_size > model.config.vocab_size:
            raise ModelError(
                f"{folder}: its tokenizer has {tokenizer.vocab_size:,} tokens, and the base rows for "
                f"{model.config.vocab_size:,}"
            )
    beside = folder.parent / "model"
    objective = objective_of(beside) if (beside / "config.json").is_file() else base.objective
    ends = ends_of(base_folder, tokenizer)
    return TextGenerator(model, tokenizer, objective, faster(model, notify), ends)


def merged_copy(model: Model, folder: Path) -> Model:
    """Return a copy of a plain model with the adapter in `folder` merged. Weights that the adapter does not change are
    the very tensors of `model`."""
    made = copy.deepcopy(model).cpu()
    merge(folder, made)
    made = made.to(model.embed.weight.device).eval()
    for name, parameter in list(made.named_parameters()):
        there = model.get_parameter(name)
        if torch.equal(parameter, there):
            place, _, leaf = name.rpartition(".")
            setattr(made.get_submodule(place), leaf, there)
    return made


def _bytes(tensor: torch.Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _check_base(folder: Path, base: Path) -> None:
    """Raise ModelError where an adapter of a run was trained on other weights than those in `base`. The folder of
    another program names no weights, and is believed."""
    state, weights = folder.parent / "trainer" / STATE, base / "model.safetensors"
    if not state.is_file() or not weights.is_file():
        return
    kept = read_json(state)["callbacks"].get(ORIGIN, {})
    if kept and kept["sha256"] != sha256(weights):
        raise ModelError(
            f"the adapter in {folder} was trained on other weights than those in {base}",
            f"name its base: {kept['path']}",
        )
