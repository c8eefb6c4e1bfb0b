"""A norm: divide by the mean of the absolute values."""

from __future__ import annotations

import torch
from torch import nn

from lilliput.model.norms import Norm
from lilliput.model.parts import NORMS


@NORMS.add("mean_absolute")
class MeanAbsolute(Norm):
    """x / (mean(|x|) + eps) * weight."""

    def __init__(self, width: int, eps: float):
        super().__init__(width, eps)
        self.weight = nn.Parameter(torch.ones(width))

    @staticmethod
    def parameters_of(width: int) -> int:
        return width

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x (..., width) -> (..., width) in x's dtype."""
        wide = x.float()
        scale = self.hook_scale(wide.abs().mean(-1, keepdim=True) + self.eps)
        return self.hook_normalized(wide / scale).to(x.dtype) * self.weight.to(x.dtype)
