"""Kernels: the parts of a CPU training step that run in C++, because PyTorch takes too many passes over memory.

The kernels are built on the machine in a few seconds and kept. Without a C++ compiler, and for shapes or types that the
kernels do not know, PyTorch's operators compute the same. docs/studies/speed.md has the gain in speed.
`$LILLIPUT_KERNELS` names one of CHOICES.
"""

from lilliput.model.kernels.attention import attend, can_attend
from lilliput.model.kernels.checks import DTYPES
from lilliput.model.kernels.library import CHOICES, FALLS_BACK, VARIABLE, available, name, state, transformed
from lilliput.model.kernels.rows import add, can_drop, can_gate, can_norm, dropout, rms_norm, softmax_gradient, swiglu

__all__ = [
    "CHOICES",
    "DTYPES",
    "FALLS_BACK",
    "VARIABLE",
    "add",
    "attend",
    "available",
    "can_attend",
    "can_drop",
    "can_gate",
    "can_norm",
    "dropout",
    "name",
    "rms_norm",
    "softmax_gradient",
    "state",
    "swiglu",
    "transformed",
]
