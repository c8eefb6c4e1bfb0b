"""Grouped products: the rows of each expert times the matrix of this expert, for rows that are sorted by expert."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from lilliput.model.parts import Role


class ExpertLinear(nn.Module):
    """A matrix of each expert, (experts, outputs, inputs), whose weights start unset, as in `Linear`.

    stacked  row counts of matrices that are stored as one in each expert
    writes   whether the outputs are added to the residual stream
    """

    def __init__(self, experts: int, inputs: int, outputs: int, stacked: Sequence[int] = (), writes: bool = False):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(experts, outputs, inputs))
        self.role = Role("matrix", tuple(stacked), writes)

    def roles(self) -> dict[str, Role]:
        """The role of the weight."""
        return {"weight": self.role}

    def forward(self, x: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
        """x (N, inputs), sorted by expert, and the rows of each expert (E,) int64 -> (N, outputs)."""
        return grouped_linear(x, self.weight, counts)


def grouped_linear(x: torch.Tensor, weight: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    """Return x @ W_e^T by groups of rows: x (N, inputs) sorted by expert, weight (E, outputs, inputs), counts (E,)
    int64, the number of rows of each expert, which sum to N -> (N, outputs).

    The time is the time of N rows, whatever E is. Under autocast both are computed in its precision."""
    return _grouped(x, weight, counts)


@torch.library.custom_op("lilliput::grouped_linear", mutates_args=())
def _grouped(x: torch.Tensor, weight: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    out = x.new_empty(len(x), weight.shape[1])
    for expert, rows in enumerate(spans(counts, len(x))):
        if rows.stop > rows.start:
            wide = _wide(rows, x)
            torch.mm(x[wide], weight[expert].T, out=out[wide])
    return out


@_grouped.register_fake
def _grouped_shape(x, weight, counts):
    return x.new_empty(len(x), weight.shape[1])


@torch.library.custom_op("lilliput::grouped_linear_backward", mutates_args=())
def _grouped_backward(
    grad: torch.Tensor, x: torch.Tensor, weight: torch.Tensor, counts: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    to_x, to_weight = torch.empty_like(x), torch.empty_like(weight)
    for expert, rows in enumerate(spans(counts, len(x))):
        if rows.stop > rows.start:
            wide = _wide(rows, x)
            torch.mm(grad[wide], weight[expert], out=to_x[wide])
        even = rows.start + (rows.stop - rows.start) // _grain(x) * _grain(x)
        whole, rest = slice(rows.start, even), slice(even, rows.stop)
        torch.mm(grad[whole].T, x[whole], out=to_weight[expert])  # zeros where there are no rows
        if rest.stop > rest.start:
            to_weight[expert].addmm_(grad[rest].T, x[rest])
    return to_x, to_weight


@_grouped_backward.register_fake
def _grouped_backward_shape(grad, x, weight, counts):
    return torch.empty_like(x), torch.empty_like(weight)


def _grain(x: torch.Tensor) -> int:
    """Rows by which groups are cut. oneDNN makes a program for each number of rows that it has not met lately, which
    took as long as the products: a step of moe_3.5m_a1.9m took 0.45 s at first, and 0.27 s with all programs made."""
    return 32 if x.device.type == "cpu" else 1


def _wide(rows: slice, x: torch.Tensor) -> slice:
    """The rows of an expert and some behind them, a multiple of the grain. The rows behind belong to later experts,
    which overwrite them: experts are computed in order, and every row is some expert's."""
    grain = _grain(x)
    return slice(rows.start, min(len(x), rows.start + -(-(rows.stop - rows.start) // grain) * grain))


def _keep(ctx: Any, inputs: Any, output: Any) -> None:
    ctx.save_for_backward(*inputs)


def _backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None]:
    return (*_grouped_backward(grad.contiguous(), *ctx.saved_tensors), None)


_grouped.register_autograd(_backward, setup_context=_keep)
for _device in ("cpu", "cuda"):
    torch.library.register_autocast("lilliput::grouped_linear", _device, torch.bfloat16)


def spans(counts: torch.Tensor, rows: int) -> Sequence[slice]:
    """The rows of each expert, by counts (E,) int64. On a GPU this waits for the counts. Raises ValueError where they
    are not all rows."""
    found, start = [], 0
    for count in counts.tolist():
        found.append(slice(start, start + count))
        start += count
    if start != rows or any(span.stop < span.start for span in found):
        raise ValueError(f"the experts have {start} rows, and there are {rows}")
    return found
