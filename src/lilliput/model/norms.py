"""Normalisation of the residual stream: RMSNorm (arXiv:1910.07467) and LayerNorm (arXiv:1607.06450)."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd.function import once_differentiable

from lilliput.model.parts import NORMS, HookPoint


class Norm(nn.Module):
    """Scales the last dimension (width,) of its input to unit size. Subclass, register, and give its count.

    Hook points: `hook_scale` (..., 1), what is divided by; `hook_normalized` (..., width).
    """

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

    @property
    def hooked(self) -> bool:
        """Whether the scale is to be computed in the open instead of inside the fused kernel."""
        return self.hook_scale.active or self.hook_normalized.active


def _eager_cpu_training(x: torch.Tensor) -> bool:
    """Whether PyTorch would take a dozen passes over memory: it has no fused RMS kernel for this case."""
    tracing = torch.compiler.is_compiling()
    return not tracing and x.requires_grad and x.device.type == "cpu" and x.dtype == torch.float32


class _RMSNorm(torch.autograd.Function):
    """RMSNorm in half the passes over memory: on a CPU, forward and backward took 11 ms for 20 (8,192 rows of 256).

    With s = 1 / rms(x), y = x s w and g the gradient of y: dw = sum (g x) s, and
    dx = g w s - x s³ sum(g w x) / width.
    """

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor, eps: float) -> torch.Tensor:
        norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        scale = norm.square_().div_(x.shape[-1]).add_(eps).rsqrt_()
        ctx.save_for_backward(x, weight, scale)
        return (x * scale).mul_(weight)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None]:  # pyright: ignore
        x, weight, scale = ctx.saved_tensors
        width = x.shape[-1]
        products = (grad * x).reshape(-1, width)
        weight_grad = scale.flatten() @ products
        pull = (products @ weight).view_as(scale).mul_(scale.pow(3)).div_(-width)
        return (grad * weight).mul_(scale).addcmul_(x, pull), weight_grad, None


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
        if _eager_cpu_training(x):
            return _RMSNorm.apply(x, self.weight, self.eps)  # pyright: ignore[reportReturnType]
        return F.rms_norm(x, (self.width,), self.weight.to(x.dtype), self.eps)


@NORMS.add("layer")
class LayerNorm(Norm):
    """(x - mean(x)) / sqrt(var(x) + eps) * weight + bias."""

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
            return self.hook_normalized(wide / scale * self.weight + self.bias).to(x.dtype)
        return F.layer_norm(x, (self.width,), self.weight.to(x.dtype), self.bias.to(x.dtype), self.eps)
