"""Normalisation of the residual stream: RMSNorm (arXiv:1910.07467), LayerNorm (1607.06450), BatchNorm (1502.03167)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from lilliput.model import kernels
from lilliput.model.parts import NORMS, ONES, ZEROS, HookPoint, Role, is_hooked


class Norm(nn.Module):
    """Scales the last dimension (width,) of its input to unit size. A subclass is registered and gives its count.

    Hook points: `hook_scale` (..., 1), the divisor; `hook_normalized` (..., width), the quotient, before weight and
    bias.
    """

    weight: torch.Tensor

    def __init__(self, width: int, eps: float):
        super().__init__()
        self.width = width
        self.eps = eps
        self.hook_scale = HookPoint()
        self.hook_normalized = HookPoint()

    @staticmethod
    def parameters_of(width: int) -> int:
        """Closed-form number of parameters."""
        raise NotImplementedError

    def roles(self) -> dict[str, Role]:
        """The roles of its parameters: the scale starts at 1, all others at 0."""
        return {name: ONES if name == "weight" else ZEROS for name, _ in self.named_parameters(recurse=False)}

    @property
    def hooked(self) -> bool:
        """Return whether the scale has to be computed by PyTorch's operators instead of the fused kernel, because a
        hook reads it."""
        return self.hook_scale.active or self.hook_normalized.active

    @property
    def is_plain_rms(self) -> bool:
        """Return whether a kernel with this norm's weight gives the same result as a call of the norm."""
        return type(self) is RMSNorm and not self.hooked and not is_hooked(self)


@NORMS.add("rms")
class RMSNorm(Norm):
    """x / sqrt(mean(x²) + eps) * weight. No centring, no bias; the mean is taken in fp32."""

    def __init__(self, width: int, eps: float):
        super().__init__(width, eps)
        self.weight = nn.Parameter(torch.ones(width))

    @staticmethod
    def parameters_of(width: int) -> int:
        return width

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x (..., width) -> (..., width) in x's dtype."""
        if self.hooked:
            wide = x.float()
            scale = self.hook_scale((wide.square().mean(-1, keepdim=True) + self.eps).sqrt())
            return self.hook_normalized(wide / scale).to(x.dtype) * self.weight.to(x.dtype)
        if kernels.can_norm(x):
            return kernels.rms_norm(x, self.weight, self.eps)
        return F.rms_norm(x, (self.width,), self.weight.to(x.dtype), self.eps)


@NORMS.add("rms_plus_one")
class RMSNormPlusOne(Norm):
    """x / sqrt(mean(x²) + eps) * (1 + weight), whose weight starts at 0 (Gemma)."""

    def __init__(self, width: int, eps: float):
        super().__init__(width, eps)
        self.weight = nn.Parameter(torch.zeros(width))

    @staticmethod
    def parameters_of(width: int) -> int:
        return width

    def roles(self) -> dict[str, Role]:
        """The role of the weight, which starts at 0."""
        return {"weight": ZEROS}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x (..., width) -> (..., width) in x's dtype."""
        wide = x.float()
        scale = self.hook_scale((wide.square().mean(-1, keepdim=True) + self.eps).sqrt())
        return (self.hook_normalized(wide / scale) * (1 + self.weight.float())).to(x.dtype)


@NORMS.add("layer")
class LayerNorm(Norm):
    """(x - mean(x)) / sqrt(var(x) + eps) * weight + bias."""

    bias: torch.Tensor | None

    def __init__(self, width: int, eps: float):
        super().__init__(width, eps)
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))

    @staticmethod
    def parameters_of(width: int) -> int:
        return 2 * width

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x (..., width) -> (..., width) in x's dtype."""
        if self.hooked:
            wide = x.float() - x.float().mean(-1, keepdim=True)
            scale = self.hook_scale((wide.square().mean(-1, keepdim=True) + self.eps).sqrt())
            scaled = self.hook_normalized(wide / scale) * self.weight
            return (scaled if self.bias is None else scaled + self.bias).to(x.dtype)
        bias = None if self.bias is None else self.bias.to(x.dtype)
        return F.layer_norm(x, (self.width,), self.weight.to(x.dtype), bias, self.eps)


@NORMS.add("layer_unbiased")
class LayerNormUnbiased(LayerNorm):
    """(x - mean(x)) / sqrt(var(x) + eps) * weight (ModernBERT)."""

    def __init__(self, width: int, eps: float):
        super().__init__(width, eps)
        self.bias = None

    @staticmethod
    def parameters_of(width: int) -> int:
        return width


@NORMS.add("batch")
class BatchNorm(Norm):
    """(x - mean) / sqrt(var + eps) * weight + bias, with mean and variance of each channel over all positions of all
    rows of the batch. It is here to be compared. In training, a position's mean holds later positions, so that a
    causal model sees a little of the tokens that it has to predict. Outside training, running means are used.
    """

    momentum = 0.1

    def __init__(self, width: int, eps: float):
        super().__init__(width, eps)
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))
        self.mean = nn.Buffer(torch.zeros(width))
        self.variance = nn.Buffer(torch.ones(width))

    @staticmethod
    def parameters_of(width: int) -> int:
        return 2 * width

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x (..., width) -> (..., width) in x's dtype."""
        wide = x.float()
        mean, variance = self.mean, self.variance
        if self.training:
            rows = wide.flatten(0, -2)
            mean, variance = rows.mean(0), rows.var(0, unbiased=False)
            with torch.no_grad():
                self.mean.lerp_(mean, self.momentum)
                self.variance.lerp_(variance, self.momentum)
        scale = self.hook_scale((variance + self.eps).sqrt().expand_as(wide))
        return (self.hook_normalized((wide - mean) / scale) * self.weight + self.bias).to(x.dtype)
