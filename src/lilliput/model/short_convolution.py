"""A short convolution: each channel becomes a weighted sum of its last values, so that a token sees its neighbours."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from lilliput.model.parts import Role

STD = 0.3
"""Standard deviation of the first weights. 4 weights of this size keep the size of what they read about as it is."""


class ShortConvolution(nn.Module):
    """y_t = sum over s < size of weight[:, s] x_{t-s}, a depthwise causal convolution: (B, T, channels) -> the same."""

    def __init__(self, channels: int, size: int):
        super().__init__()
        self.size = size
        self.weight = nn.Parameter(torch.empty(channels, size))

    @staticmethod
    def parameters_of(channels: int, size: int) -> int:
        """Closed-form number of parameters."""
        return channels * size

    def roles(self) -> dict[str, Role]:
        """The role of the weight (channels, size): a row for each channel, which no optimiser steps as a matrix."""
        return {"weight": Role("table", std=STD)}

    def forward(
        self, x: torch.Tensor, first: torch.Tensor | None = None, tail: torch.Tensor | None = None
    ) -> torch.Tensor:
        """x (B, T, channels) -> (B, T, channels). `first` (1 or B, T): the first position of each position's document,
        before which a position reads zeros. `tail` (B, size - 1, channels): the values before x; None: zeros."""
        length, weight = x.shape[1], self.weight
        before = F.pad(x, (0, 0, self.size - 1, 0)) if tail is None else torch.cat([tail, x], 1)
        summed = x * weight[:, 0]
        for back in range(1, self.size):
            value = before[:, self.size - 1 - back :][:, :length]
            if first is not None:
                value = value * (torch.arange(length, device=x.device) - back >= first)[..., None]
            summed = summed + value * weight[:, back]
        return summed


def tail_after(tail: torch.Tensor, x: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    """Return the tail of the next pass, (B, size - 1, channels): the last values of each row after the first `counts`
    (B,) of x (B, T, channels). Example: a tail of 2 values, x = 3 4 5 and a count of 1 give the last 2 of "1 2 3"."""
    size = tail.shape[1]
    where = counts[:, None] + torch.arange(size, device=x.device)
    whole = torch.cat([tail, x], 1)
    return whole.gather(1, where[..., None].expand(-1, -1, x.shape[2]))
