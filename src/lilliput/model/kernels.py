"""Kernels: what a training step on a CPU does in C++ (kernels.cpp) where PyTorch takes too many passes over memory.

Built on the machine in two seconds and kept; without a C++ compiler, and for what they do not know, the same is done
with PyTorch's operators. What they gain is in docs/studies/speed.md. `$LILLIPUT_KERNELS` names one of CHOICES.
"""

from __future__ import annotations

import ctypes
import os
from functools import cache
from pathlib import Path
from typing import Any

import torch

from lilliput.base.errors import ConfigError, nearest
from lilliput.base.native import build

VARIABLE = "LILLIPUT_KERNELS"
CHOICES = ("auto", "system")
"""auto: C++ where there is a compiler; system: PyTorch's operators."""
SOURCE = Path(__file__).with_suffix(".cpp")
DTYPES = (torch.float32, torch.bfloat16)


@torch.compiler.assume_constant_result
def available() -> bool:
    """Whether kernels.cpp is in use. Raises ConfigError where the variable is none of CHOICES."""
    return _library()[0] is not None


def state() -> str:
    """What does the attention and the softmax of a training step in this process, in words."""
    library, reason = _library()
    return f"C++ ({VARIABLE}=system turns it off)" if library else f"PyTorch ({reason})"


@cache
def _library() -> tuple[ctypes.CDLL | None, str]:
    """kernels.cpp, built; or None, and why."""
    name = os.environ.get(VARIABLE) or "auto"
    if name not in CHOICES:
        raise ConfigError(f"{VARIABLE}={name} is unknown{nearest(name, CHOICES)}", f"known: {', '.join(CHOICES)}")
    if name == "system":
        return None, f"{VARIABLE}=system"
    try:
        return build(SOURCE, ("-ffp-contract=fast",)), ""
    except (ConfigError, OSError) as error:
        return None, str(error)


# ---------------------------------------------------------------------------- attention


class _Tensor(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("stride", ctypes.c_int64), ("bf16", ctypes.c_int64)]


class _Shape(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int64) for name in ("rows", "length", "heads", "shared", "width", "threads")]
    _fields_ += [("scale", ctypes.c_float)]


def can_attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> bool:
    """Whether `causal_attention` is for these: in training, on a CPU, in fp32 or bf16."""
    trained = torch.is_grad_enabled() and v.requires_grad and v.device.type == "cpu"
    return trained and {q.dtype, k.dtype, v.dtype} <= set(DTYPES) and available()


def causal_attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """softmax(q k' / sqrt(d_head)) v over each position and those before it, in fp32 inside.

    q (B, T, n_heads, d_head), k and v (B, T, n_kv_heads, d_head) -> (B, T, n_heads, d_head) in v's dtype.
    """
    return _attention(q, k, v)[0]


@torch.library.custom_op("lilliput::causal_attention", mutates_args=())
def _attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(the result, log of the summed exponentials (B, n_heads, T))."""
    out, sums = _attention_shapes(q, k, v)
    _call("attention", _shape(q, k), *map(_tensor, (q, k, v, out)), _pointer(sums))
    return out, sums


@_attention.register_fake
def _attention_shapes(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    rows, length, heads, _ = q.shape
    return q.new_empty(q.shape, dtype=v.dtype), q.new_empty((rows, heads, length), dtype=torch.float32)


@torch.library.custom_op("lilliput::causal_attention_backward", mutates_args=())
def _attention_backward(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, out: torch.Tensor, sums: torch.Tensor, grad: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    found = _gradient_shapes(q, k, v, out, sums, grad)
    _call(
        "attention_backward",
        _shape(q, k),
        *map(_tensor, (q, k, v, out)),
        _pointer(sums),
        *map(_tensor, (grad, *found)),
    )
    return found


@_attention_backward.register_fake
def _gradient_shapes(q, k, v, out, sums, grad):
    return tuple(torch.empty(x.shape, dtype=x.dtype, device=x.device) for x in (q, k, v))


def _keep(ctx: Any, inputs: Any, output: Any) -> None:
    ctx.save_for_backward(*inputs, *output)


def _backward(ctx: Any, grad: torch.Tensor, _sums: Any) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return _attention_backward(*ctx.saved_tensors, grad)


_attention.register_autograd(_backward, setup_context=_keep)


# ---------------------------------------------------------------------------- the head


def softmax_gradient(logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Turns logits (N, V), fp32 or bf16, in place into weights * (softmax(logits) - onehot(targets)). Returns the
    losses -log softmax(logits)[targets], (N,) fp32. targets (N,) int64, weights (N,) fp32. For where `available`."""
    losses = torch.empty(len(logits))
    _call(
        "softmax_gradient",
        _pointer(logits),
        logits.dtype == torch.bfloat16,
        *logits.shape,
        *map(_pointer, (targets, weights, losses)),
        torch.get_num_threads(),
    )
    return losses


def add(to: torch.Tensor, product: torch.Tensor) -> None:
    """to += product, fp32 and bf16 of one shape: PyTorch widens the second first, in memory of its own. For where
    `available`."""
    _call("add", *map(_pointer, (to, product)), to.numel(), torch.get_num_threads())


# ---------------------------------------------------------------------------- calls


def _call(name: str, *arguments: Any) -> None:
    given = [ctypes.c_int64(value) if isinstance(value, int) else value for value in arguments]
    getattr(_library()[0], name)(*given)


def _shape(q: torch.Tensor, k: torch.Tensor) -> Any:
    rows, length, heads, width = q.shape
    return ctypes.byref(_Shape(rows, length, heads, k.shape[2], width, torch.get_num_threads(), width**-0.5))


def _tensor(x: torch.Tensor) -> Any:
    """x (B, T, heads, d_head) as kernels.cpp reads it: heads side by side, positions at equal distances."""
    if x.stride()[2:] != (x.shape[3], 1) or x.stride(0) != x.shape[1] * x.stride(1):
        x = x.contiguous()
    made = _Tensor(x.data_ptr(), x.stride(1), x.dtype == torch.bfloat16)
    made.kept = x  # a copy has to live as long as the call
    return ctypes.byref(made)


def _pointer(x: torch.Tensor) -> ctypes.c_void_p:
    if not x.is_contiguous():
        raise ValueError("kernels.cpp reads contiguous tensors only")
    return ctypes.c_void_p(x.data_ptr())
