"""Kernels that work row by row: SwiGLU, RMSNorm, dropout, and the softmax of the head with its gradient."""

from __future__ import annotations

from typing import Any

import torch

from lilliput.model.kernels.checks import FLOAT, expect, expect_last, expect_memory, expect_seed
from lilliput.model.kernels.library import call, chance, fits, seed

NORM_BLOCK = 64
"""The number of rows whose parts of a norm's weight gradient are added together first. It does not depend on the number
of threads."""

# ---------------------------------------------------------------------------- SwiGLU


def can_gate(gate_up: torch.Tensor) -> bool:
    """Return whether `swiglu` is used for gate_up (..., 2 d_mlp). A compiled graph does not use it, because it already
    needs one pass only."""
    return not torch.compiler.is_compiling() and fits(gate_up)


def swiglu(gate_up: torch.Tensor) -> torch.Tensor:
    """silu(gate) * up: (..., 2 d_mlp) -> (..., d_mlp). Raises ValueError for another shape or dtype."""
    return _SwiGLU.apply(gate_up)  # pyright: ignore[reportReturnType]


class _SwiGLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gate_up: torch.Tensor) -> torch.Tensor:
        gate_up = gate_up.contiguous()
        if expect_last("gate_up", gate_up) % 2:
            raise ValueError(f"gate_up has the shape {tuple(gate_up.shape)} and needs an even last dimension")
        ctx.save_for_backward(gate_up)
        out = gate_up.new_empty((*gate_up.shape[:-1], gate_up.shape[-1] // 2))
        call("swiglu", gate_up, out, *_sizes(out))
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> torch.Tensor:  # pyright: ignore
        (gate_up,) = ctx.saved_tensors
        grad, found = grad.contiguous(), torch.empty_like(gate_up)
        expect("the gradient", grad, (*gate_up.shape[:-1], gate_up.shape[-1] // 2), (gate_up.dtype,))
        call("swiglu_backward", gate_up, grad, found, *_sizes(grad))
        return found


# ---------------------------------------------------------------------------- RMSNorm


def can_norm(x: torch.Tensor) -> bool:
    """Return whether `rms_norm` is used for x (..., width). A compiled graph does not use it, because it already needs
    one pass only."""
    return not torch.compiler.is_compiling() and fits(x)


def rms_norm(x: torch.Tensor, weight: torch.Tensor, eps: float) -> torch.Tensor:
    """x / sqrt(mean(x²) + eps) * weight over the last dimension: (..., width) and (width,) -> (..., width).
    Raises ValueError for other shapes or dtypes."""
    return _RMSNorm.apply(x, weight.float().contiguous(), float(eps))  # pyright: ignore[reportReturnType]


class _RMSNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor, eps: float) -> torch.Tensor:
        x = x.contiguous()
        expect("the norm's weight", weight, (expect_last("x", x),), FLOAT)
        ctx.save_for_backward(x, weight)
        ctx.eps = eps
        out = torch.empty_like(x)
        call("rms_norm", x, weight, out, *_sizes(x), eps)
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None]:  # pyright: ignore
        x, weight = ctx.saved_tensors
        grad = grad.contiguous()
        expect("the gradient", grad, x.shape, (x.dtype,))
        found, sizes = torch.empty_like(x), _sizes(x)
        lines = torch.empty(-(-sizes[1] // NORM_BLOCK), sizes[2])
        call("rms_norm_backward", x, weight, grad, found, lines, NORM_BLOCK, *sizes, ctx.eps)
        return found, lines.sum(0), None


# ---------------------------------------------------------------------------- dropout


def can_drop(x: torch.Tensor) -> bool:
    """Return whether `dropout` is used for x (..., width)."""
    return fits(x)


def dropout(x: torch.Tensor, probability: float) -> torch.Tensor:
    """Return x (..., width) with each number set to 0 with this probability, and otherwise divided by 1 - probability.
    Raises ValueError for a probability outside 0 to 1, or another dtype."""
    return _dropout(x.contiguous(), probability, seed())


@torch.library.custom_op("lilliput::dropout", mutates_args=())
def _dropout(x: torch.Tensor, probability: float, drawn: torch.Tensor) -> torch.Tensor:
    expect_last("x", x)
    expect_seed(drawn)
    out = torch.empty_like(x)
    bf16, rows, width, threads = _sizes(x)
    call("dropout", x, out, bf16, rows, width, int(drawn), *chance(probability), threads)
    return out


@_dropout.register_fake
def _dropout_shape(x, probability, drawn):
    return torch.empty_like(x)


def _keep(ctx: Any, inputs: Any, output: Any) -> None:
    _, ctx.probability, drawn = inputs
    ctx.save_for_backward(drawn)


def _backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None, None]:
    return _dropout(grad.contiguous(), ctx.probability, *ctx.saved_tensors), None, None


_dropout.register_autograd(_backward, setup_context=_keep)


def _sizes(x: torch.Tensor) -> tuple[bool, int, int, int]:
    """Return whether x is bf16, its rows, its width, and the threads."""
    return x.dtype == torch.bfloat16, x.numel() // x.shape[-1], x.shape[-1], torch.get_num_threads()


# ---------------------------------------------------------------------------- the head


def softmax_gradient(
    logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor, entropies: torch.Tensor | None = None
) -> torch.Tensor:
    """Replace logits (N, V), fp32 or bf16, in place by weights * (softmax(logits) - onehot(targets)). Returns the
    losses -log softmax(logits)[targets], (N,) fp32. targets (N,) int64, weights (N,) fp32. `entropies`, (N,) fp32
    where given, receives the entropies of softmax(logits) in nats. Call it only where `available` is true. Raises
    IndexError for a target outside the vocabulary, and ValueError for other shapes or dtypes."""
    expect("logits", logits, (None, None))
    count, _ = len(logits), expect_last("logits", logits)
    expect("targets", targets, (count,), (torch.int64,))
    expect("weights", weights, (count,), FLOAT)
    if entropies is not None:
        expect("entropies", entropies, (count,), FLOAT)
    if count and not 0 <= int(targets.min()) <= int(targets.max()) < logits.shape[-1]:
        raise IndexError(f"a target is outside the vocabulary of {logits.shape[-1]:,} ids")
    losses = torch.empty(len(logits))
    bf16, rows, width, threads = _sizes(logits)
    call("softmax_gradient", logits, bf16, rows, width, targets, weights, losses, entropies, threads)
    return losses


def add(to: torch.Tensor, product: torch.Tensor) -> None:
    """Add `product` (bf16) to `to` (fp32), both of one shape. PyTorch would first copy the product to fp32, in further
    memory. Call it only where `available` is true. Raises ValueError for other shapes or dtypes."""
    expect_memory("the sum", to, FLOAT)
    expect("the product", product, to.shape, (torch.bfloat16,))
    call("add", to, product, to.numel(), torch.get_num_threads())
