"""What every part of the model is made of: the registries of parts, bare weights, and named points to look in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from lilliput.base.registry import Registry

if TYPE_CHECKING:
    from lilliput.model.mlps import MLP
    from lilliput.model.norms import Norm
    from lilliput.model.positions import Position

NORMS: Registry[type[Norm]] = Registry("norm", "lilliput.model")
POSITIONS: Registry[type[Position]] = Registry("position", "lilliput.model")
MLPS: Registry[type[MLP]] = Registry("mlp", "lilliput.model")


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

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Token ids (B, T) -> (B, T, width)."""
        return rows_of(self.weight, input)


def rows_of(matrix: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """matrix (N, width), index (...) int64 -> (..., width). Compiled, the gradient would be added up by all threads at
    once, in an order that changes from run to run; it is left to PyTorch's own operator, whose order does not."""
    if torch.compiler.is_compiling() and torch.is_grad_enabled():
        return _rows(matrix, index)
    return nn.functional.embedding(index, matrix)


@torch.library.custom_op("lilliput::rows", mutates_args=())
def _rows(matrix: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    return nn.functional.embedding(index, matrix)


@_rows.register_fake
def _rows_shape(matrix, index):
    return matrix.new_empty((*index.shape, matrix.shape[1]))


@torch.library.custom_op("lilliput::rows_gradient", mutates_args=())
def _rows_gradient(grad: torch.Tensor, index: torch.Tensor, rows: int) -> torch.Tensor:
    return torch.ops.aten.embedding_dense_backward(grad, index, rows, -1, False)


@_rows_gradient.register_fake
def _rows_gradient_shape(grad, index, rows):
    return grad.new_empty((rows, grad.shape[-1]))


def _keep_index(ctx: Any, inputs: Any, output: Any) -> None:
    ctx.save_for_backward(inputs[1])
    ctx.rows = len(inputs[0])


def _rows_backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None]:
    return _rows_gradient(grad, ctx.saved_tensors[0], ctx.rows), None


_rows.register_autograd(_rows_backward, setup_context=_keep_index)


class HookPoint(nn.Identity):
    """A named activation. Passes its input through; a forward hook on it reads the activation, or replaces it by
    returning another tensor. Names follow TransformerLens, so its recipes carry over."""

    @property
    def active(self) -> bool:
        """Whether anyone looks: what costs extra to compute is computed only then."""
        return len(self._forward_hooks) > 0


def dropout(x: torch.Tensor, probability: float, training: bool) -> torch.Tensor:
    """Dropout that costs no call where the probability is 0."""
    return nn.functional.dropout(x, probability, True) if training and probability > 0 else x
