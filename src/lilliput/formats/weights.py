"""Weights of a file under the file's own names: the expected shapes, and a model with these weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from lilliput.base.differences import apart
from lilliput.base.errors import ExportError, ModelError
from lilliput.model.bounds import check_stored
from lilliput.model.config import ModelConfig
from lilliput.model.places import Places, to_ours, to_theirs
from lilliput.model.transformer import Model


def expected(config: ModelConfig, table: Places, file: Path) -> dict[str, tuple[int, ...]]:
    """Return the shape of every tensor of `config`, by its name in `table`. Raises ExportError where `file` is too
    small for these tensors."""
    check_size(config, file)
    return {name: tuple(tensor.shape) for name, tensor in to_theirs(_blank(config), table, config).items()}


def check_size(config: ModelConfig, file: Path) -> None:
    """Raises ExportError where `file` is too small to hold the parameters of `config`."""
    try:
        check_stored(config, file.stat().st_size, str(file))
    except ModelError as error:
        raise ExportError(error.message, error.hint) from None


def filled(config: ModelConfig, table: Places, tensors: Mapping[str, torch.Tensor], file: Path) -> Model:
    """Return the model of `config` in fp32 and eval mode. Raises ExportError for missing and unknown tensors, and for
    tensors of a wrong shape."""
    wanted = expected(config, table, file)
    missing, unknown = sorted(wanted.keys() - tensors.keys()), sorted(tensors.keys() - wanted.keys())
    if missing or unknown:
        raise ExportError(f"{file}: of the {len(wanted)} tensors of its settings, {apart(missing, unknown)}")
    for name, shape in wanted.items():
        if tuple(tensors[name].shape) != shape:
            raise ExportError(f"{file}: {name} is {list(tensors[name].shape)}, but its settings ask for {list(shape)}")
    model = Model(config, seed=None)
    model.load_state_dict(to_ours({n: t.float() for n, t in tensors.items()}, _blank(config), table, config))
    return model.eval()


def _blank(config: ModelConfig) -> dict[str, torch.Tensor]:
    with torch.device("meta"):
        return Model(config, seed=None).state_dict()
