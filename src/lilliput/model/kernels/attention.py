"""Attention from the queries, keys and values of one product, with QK-norm, rotary positions and dropout."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

import torch

from lilliput.model.kernels.checks import FLOAT, expect, expect_bounds, expect_seed
from lilliput.model.kernels.library import call, chance, fits, pointer, seed


class _Shape(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int64) for name in ("rows", "length", "heads", "shared", "width", "half", "bf16")]
    _fields_ += [(name, ctypes.c_int64) for name in ("threads", "seed", "below")]
    _fields_ += [(name, ctypes.c_float) for name in ("scale", "eps", "kept")]


class _Inputs(ctypes.Structure):
    _fields_ = [(name, ctypes.c_void_p) for name in ("qkv", "q_norm", "k_norm", "cos", "sin", "bias", "first", "last")]


def can_attend(qkv: torch.Tensor, tables: tuple[torch.Tensor, torch.Tensor] | None) -> bool:
    """Return whether `attend` supports this qkv (B, T, heads, d_head). The `tables`, if any, have to be the same for
    all rows, with the shape (T, 1, r) each."""
    return fits(qkv) and (tables is None or tables[0].dim() == 3)


def attend(
    qkv: torch.Tensor,
    heads: int,
    *,
    norms: tuple[torch.Tensor, torch.Tensor] | None = None,
    eps: float = 0.0,
    tables: tuple[torch.Tensor, torch.Tensor] | None = None,
    dropout: float = 0.0,
    first: torch.Tensor | None = None,
    last: torch.Tensor | None = None,
    scale: float | None = None,
    bias: torch.Tensor | None = None,
) -> torch.Tensor:
    """softmax(scale q k' + bias) v over the positions from `first` to `last` of each position, in fp32 inside.

    qkv (B, T, n_heads + 2 n_kv_heads, d_head) holds queries, keys and values -> (B, T, n_heads, d_head) in its dtype.
    `norms`: the weights (d_head,) of an RMSNorm of queries and of keys, with `eps`. `tables`: cos and sin (T, 1, r)
    that turn the first 2 r channels of each, halves paired. `dropout`: the share of the pattern that is dropped.
    `first` and `last` (1 or B, T) int32: the first and the last position that each position sees, with itself between
    them. Without `first`, positions see from position 0 on. Without `last`, they see up to themselves. `scale`: by
    default 1 / sqrt(d_head). `bias` (n_heads, 2 T - 1) float32: of a key at the query's position + d - (T - 1) for its
    number d. Raises ValueError for other shapes or dtypes, for numbers of heads that do not divide, for impossible
    bounds, and for a dropout outside 0 to 1.
    """
    q_norm, k_norm = (weight.float().contiguous() for weight in norms) if norms else (None, None)
    cos, sin = (table.float().contiguous() for table in tables) if tables else (None, None)
    drawn = seed() if dropout else None
    first, last = (None if x is None else x.expand(len(qkv), -1).contiguous() for x in (first, last))
    scale = qkv.shape[-1] ** -0.5 if scale is None else scale
    bias = None if bias is None else bias.float().contiguous()
    given = (q_norm, k_norm, eps, cos, sin, dropout, drawn, first, last, scale, bias)
    return _attention(qkv.contiguous(), heads, *given)[0]


@torch.library.custom_op("lilliput::attention", mutates_args=())
def _attention(
    qkv: torch.Tensor,
    heads: int,
    q_norm: torch.Tensor | None,
    k_norm: torch.Tensor | None,
    eps: float,
    cos: torch.Tensor | None,
    sin: torch.Tensor | None,
    dropout: float,
    drawn: torch.Tensor | None,
    first: torch.Tensor | None,
    last: torch.Tensor | None,
    scale: float,
    bias: torch.Tensor | None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """(the result, log of the summed exponentials (B, n_heads, T))."""
    how = How(qkv, heads, q_norm, k_norm, eps, cos, sin, dropout, drawn, first, last, scale, bias)
    how.check()
    out, sums = how.outputs()
    call("attention", how.shape(), how.inputs(), out, sums)
    return out, sums


@_attention.register_fake
def _attention_shapes(qkv, heads, q_norm, k_norm, eps, cos, sin, dropout, drawn, first, last, scale, bias):
    return How(qkv, heads, q_norm, k_norm, eps, cos, sin, dropout, drawn, first, last, scale, bias).outputs()


@torch.library.custom_op("lilliput::attention_backward", mutates_args=())
def _attention_backward(
    qkv: torch.Tensor,
    heads: int,
    q_norm: torch.Tensor | None,
    k_norm: torch.Tensor | None,
    eps: float,
    cos: torch.Tensor | None,
    sin: torch.Tensor | None,
    dropout: float,
    drawn: torch.Tensor | None,
    first: torch.Tensor | None,
    last: torch.Tensor | None,
    scale: float,
    bias: torch.Tensor | None,
    out: torch.Tensor,
    sums: torch.Tensor,
    grad: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """The gradients of qkv, of both norms' weights, one line for each row and head of keys, and of the bias, one line
    for each row and head."""
    how = How(qkv, heads, q_norm, k_norm, eps, cos, sin, dropout, drawn, first, last, scale, bias)
    how.check()
    grad, (rows, length, _, width) = grad.contiguous(), qkv.shape
    for name, given in {"the result": out, "the gradient": grad}.items():
        expect(name, given, (rows, length, heads, width), (qkv.dtype,))
    expect("the sums", sums, (rows, heads, length), FLOAT)
    found = how.gradients()
    call("attention_backward", how.shape(), how.inputs(), out, sums, grad, *found)
    return found


@_attention_backward.register_fake
def _gradient_shapes(
    qkv, heads, q_norm, k_norm, eps, cos, sin, dropout, drawn, first, last, scale, bias, out, sums, grad
):
    return How(qkv, heads, q_norm, k_norm, eps, cos, sin, dropout, drawn, first, last, scale, bias).gradients()


def _keep(ctx: Any, inputs: Any, output: Any) -> None:
    qkv, ctx.heads, q_norm, k_norm, ctx.eps, cos, sin, ctx.dropout, drawn, first, last, ctx.scale, bias = inputs
    ctx.save_for_backward(qkv, q_norm, k_norm, cos, sin, drawn, first, last, bias, *output)


def _backward(ctx: Any, grad: torch.Tensor, _sums: Any) -> tuple[torch.Tensor | None, ...]:
    qkv, q_norm, k_norm, cos, sin, drawn, first, last, bias, *output = ctx.saved_tensors
    given = (qkv, ctx.heads, q_norm, k_norm, ctx.eps, cos, sin, ctx.dropout, drawn, first, last, ctx.scale, bias)
    qkv_grad, q_lines, k_lines, bias_lines = _attention_backward(*given, *output, grad)
    norm_grads = (None, None) if q_norm is None else (q_lines.sum(0), k_lines.sum(0))
    return qkv_grad, None, *norm_grads, *[None] * 8, None if bias is None else bias_lines.sum(0)


_attention.register_autograd(_backward, setup_context=_keep)


@dataclass(frozen=True)
class How:
    """The arguments of the two operators, in the form of attention.h."""

    qkv: torch.Tensor
    heads: int
    q_norm: torch.Tensor | None
    k_norm: torch.Tensor | None
    eps: float
    cos: torch.Tensor | None
    sin: torch.Tensor | None
    dropout: float
    drawn: torch.Tensor | None
    first: torch.Tensor | None
    last: torch.Tensor | None
    scale: float
    bias: torch.Tensor | None

    def check(self) -> None:
        """Raise ValueError for arguments that would make attention.h read or write outside its memory."""
        expect("qkv", self.qkv, (None, None, None, None))
        _, length, stacked, width = self.qkv.shape
        shared, odd = divmod(stacked - self.heads, 2)
        if not width or self.heads < 1 or shared < 1 or odd or self.heads % shared:
            kinds = f"{self.heads} heads of queries and {stacked - self.heads} of keys and values"
            raise ValueError(f"qkv has the shape {tuple(self.qkv.shape)}: {kinds}, {width} wide, cannot be divided")
        for first, second, names in ((self.q_norm, self.k_norm, "norms"), (self.cos, self.sin, "tables")):
            if (first is None) != (second is None):
                raise ValueError(f"attention takes both {names} or none")
        if self.q_norm is not None and self.k_norm is not None:
            expect("the norm of queries", self.q_norm, (width,), FLOAT)
            expect("the norm of keys", self.k_norm, (width,), FLOAT)
        if self.cos is not None and self.sin is not None:
            half = self.cos.shape[-1] if self.cos.dim() else 0
            if 2 * half > width:
                raise ValueError(f"the tables turn {2 * half} channels of a head that has {width}")
            expect("the table of cosines", self.cos, (length, 1, half), FLOAT)
            expect("the table of sines", self.sin, (length, 1, half), FLOAT)
        if self.bias is not None:
            expect("the bias", self.bias, (self.heads, 2 * length - 1), FLOAT)
        if not self.scale > 0:
            raise ValueError(f"the scale of the scores is {self.scale}, and has to be above 0")
        expect_bounds(self.first, self.last, len(self.qkv), length)
        if self.dropout:
            expect_seed(self.drawn)

    def outputs(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Memory for the result (B, T, heads, d_head) and for the sums (B, heads, T) float32."""
        rows, length, _, width = self.qkv.shape
        sums = self.qkv.new_empty((rows, self.heads, length), dtype=torch.float32)
        return self.qkv.new_empty((rows, length, self.heads, width)), sums

    def gradients(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Memory for the gradients of qkv, of both norms' weights, (B x key heads, d_head) float32 each, and zeros for
        those of the bias, (B, n_heads, 2 T - 1) float32."""
        rows, length, stacked, width = self.qkv.shape
        lines = (rows * (stacked - self.heads) // 2 if self.q_norm is not None else 0, width)
        q_lines, k_lines = (self.qkv.new_empty(lines, dtype=torch.float32) for _ in range(2))
        biased = (0 if self.bias is None else rows, self.heads, 2 * length - 1)
        return self.qkv.new_empty(self.qkv.shape), q_lines, k_lines, self.qkv.new_zeros(biased, dtype=torch.float32)

    def shape(self) -> Any:
        rows, length, stacked, width = self.qkv.shape
        half = 0 if self.cos is None else self.cos.shape[-1]
        bf16, threads = self.qkv.dtype == torch.bfloat16, torch.get_num_threads()
        below, kept = chance(self.dropout)
        drawn = 0 if self.drawn is None else int(self.drawn)
        shared = (stacked - self.heads) // 2
        numbers = (rows, length, self.heads, shared, width, half, bf16, threads, drawn, below)
        return ctypes.byref(_Shape(*numbers, self.scale, self.eps, kept))

    def inputs(self) -> Any:
        tensors = (self.qkv, self.q_norm, self.k_norm, self.cos, self.sin, self.bias, self.first, self.last)
        return ctypes.byref(_Inputs(*map(pointer, tensors)))
