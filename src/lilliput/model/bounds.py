"""Bounds of a model's size. The size is compared with the model's file and with the memory before any tensor is
made."""

from __future__ import annotations

from lilliput.base.console import number, size
from lilliput.base.errors import ModelError
from lilliput.base.machine import memory
from lilliput.model.config import ModelConfig
from lilliput.model.counts import parameters

STATES = 4
"""The number of fp32 numbers for a parameter in training: weight, gradient and two states of the optimiser."""
MOST_PER_BYTE = 8
"""The most parameters in a byte of weights. The smallest known parameters take a bit and a half each."""


def check_stored(config: ModelConfig, stored: int, where: str) -> None:
    """Raise ModelError where `stored` bytes of weights cannot hold the parameters of `config`."""
    count = parameters(config).total
    if count > MOST_PER_BYTE * stored:
        raise ModelError(
            f"{where} describes a model of {number(count)} parameters, and {size(stored)} of weights cannot hold them",
            "copy or download it again",
        )


def check_memory(config: ModelConfig, trained: bool) -> None:
    """Raise ModelError for a model that this machine's memory cannot hold. With `trained` the memory of training
    counts."""
    count, held = parameters(config).total, memory()
    needed = 4 * count * (STATES if trained else 1)
    if needed > held:
        raise ModelError(
            f"a model of {number(count)} parameters needs {size(needed)} to be {'trained' if trained else 'made'}, and "
            f"this machine has {size(held)}",
            "make it smaller: size=5m, or other model.d_model and model.n_layers",
        )
