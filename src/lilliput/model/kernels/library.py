"""kernels.cpp, built and loaded, or why not; and how it is called."""

from __future__ import annotations

import ctypes
import os
from functools import cache
from pathlib import Path
from typing import Any

import torch

from lilliput.base.errors import ConfigError, nearest
from lilliput.base.native import build
from lilliput.model.kernels.checks import DTYPES, expect_probability

VARIABLE = "LILLIPUT_KERNELS"
CHOICES = ("auto", "system")
"""auto: C++ where there is a compiler; system: PyTorch's operators."""
SOURCE = Path(__file__).with_name("kernels.cpp")


def available() -> bool:
    """Whether kernels.cpp is in use. Raises ConfigError where the variable is none of CHOICES."""
    return library()[0] is not None


# What torch.compiler.assume_constant_result does, without the 1.4 s of importing torch._dynamo in every command.
available._dynamo_marked_constant = True  # pyright: ignore[reportFunctionMemberAccess]


def fits(x: torch.Tensor) -> bool:
    """Whether the kernels are for an operation on `x`, of any shape: in training, on a CPU, in fp32 or bf16. An
    exported graph runs where no kernels are."""
    trained = torch.is_grad_enabled() and x.requires_grad and x.device.type == "cpu"
    return trained and x.dtype in DTYPES and not torch.compiler.is_exporting() and available()


def state() -> str:
    """What does the kernels' part of a training step in this process, in words."""
    loaded, reason = library()
    by = f"C++ ({VARIABLE}=system turns it off)" if loaded else f"PyTorch ({reason})"
    return f"attention, activations and softmax by {by}"


@cache
def library() -> tuple[ctypes.CDLL | None, str]:
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


def call(name: str, *arguments: Any) -> None:
    """The function of that name: tensors go as pointers, None as a null one, int and float as int64_t and double."""
    getattr(library()[0], name)(*map(_given, arguments))


def pointer(x: torch.Tensor | None) -> ctypes.c_void_p:
    """Where the memory of `x` begins, of any shape. Raises ValueError where it is not contiguous."""
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
    """What the kernels know of a dropout's probability: the same of 2^32, and 1 / (1 - probability). Raises ValueError
    outside 0 to 1."""
    expect_probability(probability)
    return round(probability * 2**32), 1 / (1 - probability)


def seed() -> torch.Tensor:
    """A scalar int64 from PyTorch's generator, from which a kernel draws what it drops."""
    return torch.randint(2**62, (), dtype=torch.int64, device="cpu")
