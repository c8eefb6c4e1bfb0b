"""Kernels: what a training step on a CPU does in C++, where PyTorch takes too many passes over memory.

Built on the machine in a few seconds and kept; without a C++ compiler, and for what they do not know, the same is done
with PyTorch's operators. What they gain is in docs/studies/speed.md. `$LILLIPUT_KERNELS` names one of CHOICES.
"""

from lilliput.model.kernels.attention import can_attend, causal_attention
from lilliput.model.kernels.checks import DTYPES
from lilliput.model.kernels.library import CHOICES, VARIABLE, available, name, state
from lilliput.model.kernels.rows import add, can_drop, can_gate, can_norm, dropout, rms_norm, softmax_gradient, swiglu

__all__ = [
    "CHOICES",
    "DTYPES",
    "VARIABLE",
    "add",
    "available",
    "can_attend",
    "can_drop",
    "can_gate",
    "can_norm",
    "causal_attention",
    "dropout",
    "name",
    "rms_norm",
    "softmax_gradient",
    "state",
    "swiglu",
]
