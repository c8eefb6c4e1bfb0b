"""What every part of the model is made of: the registries of parts, bare weights, and named points to look in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn.modules import module as _torch

from lilliput.base.registry import Registry
from lilliput.model import kernels

if TYPE_CHECKING:
    from lilliput.model.mlps import MLP
    from lilliput.model.norms import Norm
    from lilliput.model.positions import Position

NORMS: Registry[type[Norm]] = Registry("norm", "lilliput.model")
POSITIONS: Registry[type[Position]] = Registry("position", "lilliput.model")
MLPS: Registry[type[MLP]] = Registry("mlp", "lilliput.model")


HOOK_TABLES = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
"""Where PyTorch keeps the hooks of a module."""


def is_hooked(module: nn.Module) -> bool:
    """Whether a hook is set on this very module, or on all modules: code that does not call it must step aside."""
    return bool(
        module._forward_hooks
        or module._forward_pre_hooks
        or module._backward_hooks
        or module._backward_pre_hooks
        or globally_hooked()
    )


def globally_hooked() -> bool:
    """Whether PyTorch calls a hook for every module (torch.nn.modules.module.register_module_forward_hook)."""
    return bool(
        _torch._global_forward_hooks
        or _torch._global_forward_pre_hooks
        or _torch._global_backward_hooks
        or _torch._global_backward_pre_hooks
    )


class Linear(nn.Linear):
    """nn.Linear whose weights start unset: `initialise` or a checkpoint fills them, and nothing is drawn twice.

    `stacked` are the row counts of matrices that are stored as one for speed (queries, keys, values). An optimiser
    that steps whole matrices finds them as `weight.parts`.
    """

    def __init__(self, inputs: int, outputs: int, bias: bool, stacked: Sequence[int] = ()):
        super().__init__(inputs, outputs, bias)
        self.weight.parts = tuple(stacked) or (outputs,)  # pyright: ignore[reportAttributeAccessIssue]

    def reset_parameters(self) -> None:
        """Leave the memory as it is."""


class Embedding(nn.Embedding):
    """nn.Embedding whose weights start unset, as in `Linear`."""

    def reset_parameters(self) -> None:
        """Leave the memory as it is."""


class HookPoint(nn.Identity):
    """A named activation. Passes its input through; a forward hook on it reads the activation, or replaces it by
    returning another tensor. Names follow TransformerLens, so its recipes carry over."""

    @property
    def active(self) -> bool:
        """Whether a hook of any kind is set here: what costs extra to compute is computed only then."""
        return is_hooked(self)


def dropout(x: torch.Tensor, probability: float, training: bool) -> torch.Tensor:
    """Dropout that costs no call where the probability is 0."""
    if not training or probability <= 0:
        return x
    return kernels.dropout(x, probability) if kernels.can_drop(x) else nn.functional.dropout(x, probability, True)
