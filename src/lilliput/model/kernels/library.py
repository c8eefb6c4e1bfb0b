"""The library kernels.cpp: its build, the reason where it is not used, and the calls of its functions."""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path
from typing import Any

import torch

from lilliput.base import machine
from lilliput.base.errors import ConfigError
from lilliput.base.runtime import switch
from lilliput.base.runtime.native import build, key
from lilliput.model.kernels.checks import DTYPES, expect_probability

VARIABLE = "LILLIPUT_KERNELS"
CHOICES = ("auto", "system")
"""auto: C++ where there is a compiler; system: PyTorch's operators."""
SOURCE = Path(__file__).with_name("kernels.cpp")
FLAGS = ("-ffp-contract=fast",)


def available() -> bool:
    """Return whether kernels.cpp is in use. Raises ConfigError where the variable is none of CHOICES."""
    return library()[0] is not None and one_thread_suffices()


def one_thread_suffices() -> bool:
    """Return whether the kernels use all threads of PyTorch. A compiler without OpenMP (clang on macOS) builds kernels
    for one thread, which are slower than PyTorch's operators on several threads."""
    return torch.get_num_threads() == 1 or has_openmp()


# The effect of torch.compiler.assume_constant_result, without 1.4 s for the import of torch._dynamo in every command.
available._dynamo_marked_constant = True  # pyright: ignore[reportFunctionMemberAccess]


def fits(x: torch.Tensor) -> bool:
    """Return whether the kernels support an operation on `x`, of any shape: in training, on a CPU, in fp32 or bf16. An
    exported graph does not use them, because it runs in programs without the kernels. Neither does a function transform
    of PyTorch, because the kernels have no rules for it."""
    trained = torch.is_grad_enabled() and x.requires_grad and x.device.type == "cpu" and not transformed()
    return trained and x.dtype in DTYPES and not torch.compiler.is_exporting() and available()


def transformed() -> bool:
    """Return whether a function transform of PyTorch (`torch.func.vmap`, `grad`) is at work here."""
    return torch._C._functorch.maybe_current_level() is not None  # pyright: ignore[reportAttributeAccessIssue]


def state() -> str:
    """Describe the code that computes the kernels' part of a training step in this process."""
    loaded, reason = library()
    if loaded and not one_thread_suffices():
        reason = f"{machine.compiler()} has no OpenMP, and C++ on one thread is slower than PyTorch on "
        reason += f"{torch.get_num_threads()}; set CXX to a compiler that takes -fopenmp"
    by = f"C++ ({VARIABLE}=system turns it off)" if available() else f"PyTorch ({reason})"
    return f"attention, activations and softmax by {by}"


FALLS_BACK = "cross-attention, linear attention, QK-norm over all heads, LayerNorm, BatchNorm, activations but SwiGLU's"
"""Parts of a training step without a kernel."""


def name() -> str:
    """Return the name that a run records for this code: 'cpp-' and the name of the build, or 'pytorch'."""
    return f"cpp-{key(SOURCE, FLAGS)}" if available() else "pytorch"


@cache
def has_openmp() -> bool:
    """Whether kernels.cpp was built with OpenMP; False where it was not built."""
    loaded = library()[0]
    return loaded is not None and bool(loaded.has_openmp())


@cache
def library() -> tuple[ctypes.CDLL | None, str]:
    """Return the built kernels.cpp, or None with the reason."""
    if switch.choice(VARIABLE, CHOICES) == switch.SYSTEM:
        return None, switch.reason(VARIABLE)
    try:
        return build(SOURCE, FLAGS), ""
    except (ConfigError, OSError) as error:
        return None, str(error)


def call(name: str, *arguments: Any) -> None:
    """Call the C++ function `name`. Tensors are passed as pointers, None as a null pointer, int as int64_t and float as
    double."""
    getattr(library()[0], name)(*map(_given, arguments))


def pointer(x: torch.Tensor | None) -> ctypes.c_void_p:
    """Return the address of the memory of `x`, of any shape. Raises ValueError where it is not contiguous."""
    if x is None:
        return ctypes.c_void_p()
    if not x.is_contiguous():
        raise ValueError("the kernels read contiguous tensors only")
    return ctypes.c_void_p(x.data_ptr())


def _given(value: Any) -> Any:
    if value is None or isinstance(value, torch.Tensor):
        return pointer(value)
    if isinstance(value, float):
        return ctypes.c_double(value)
    return ctypes.c_int64(value) if isinstance(value, int) else value


def chance(probability: float) -> tuple[int, float]:
    """Return a dropout's probability for the kernels: as a share of 2^32, with the factor 1 / (1 - probability). Raises
    ValueError outside 0 to 1."""
    expect_probability(probability)
    return round(probability * 2**32), 1 / (1 - probability)


def seed() -> torch.Tensor:
    """Return a scalar int64 from PyTorch's generator, the seed by which a kernel chooses the numbers to drop."""
    return torch.randint(2**62, (), dtype=torch.int64, device="cpu")
