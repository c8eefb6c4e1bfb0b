"""Products: MKL's fast kernels for matrix products on processors that are not Intel's.

PyTorch's Linux builds take fp32 products from Intel's MKL, which asks a function of its own whether the processor is
Intel's and keeps slower kernels for the others. A library that defines that function again, and is loaded before
PyTorch is, answers yes; MKL then goes by the instructions that the processor has. Found by Daniël de Kok
(https://danieldk.eu/Posts/2020-08-31-MKL-Zen.html). docs/studies/speed.md has the gain in speed. Another order of sums
may change the last bits of a result.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

from lilliput.base.cache import private_folder
from lilliput.base.runtime import libraries, switch

VARIABLE = "LILLIPUT_MKL"
CHOICES = ("auto", "system")
"""auto: fast kernels on every x86-64 processor; system: as MKL chooses."""
SOURCE = 'extern "C" int mkl_serv_intel_cpu_true() { return 1; }\n'
NAME = "mkl_serv_intel_cpu_true.so"
CPUINFO = Path("/proc/cpuinfo")


def library() -> Path:
    """Return the path of the built library."""
    return private_folder("native") / NAME


def concerned() -> bool:
    """Whether MKL would choose its slower kernels here: on Linux, on an x86-64 processor that is not Intel's."""
    if sys.platform != "linux" or os.uname().machine != "x86_64" or not CPUINFO.exists():
        return False
    with CPUINFO.open(errors="replace") as file:
        return "GenuineIntel" not in file.read(200)


def prepare() -> Path | None:
    """Build the library where it is of use (50 ms, once a machine), and load it unless PyTorch is loaded already;
    returns where it is. Raises ConfigError where `$LILLIPUT_MKL` is none of CHOICES."""
    if switch.choice(VARIABLE, CHOICES) == switch.SYSTEM or not concerned():
        return None
    path = library()
    if libraries.whole(path):
        _load(path)
    if not libraries.whole(path):  # nor where it was a file of another machine, which `_load` removes
        _build(path)
        if not libraries.whole(path):
            return None
        _load(path)
    return path


def _load(path: Path) -> None:
    """Load the library. A file of another machine is removed, so that it is built anew."""
    if "torch" in sys.modules:
        return
    import ctypes

    try:
        ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
    except OSError:
        with suppress(OSError):
            path.unlink()


def _build(path: Path) -> None:
    """Compile SOURCE into `path`. Without a compiler or a cache that can be written, nothing happens, and `state`
    reports the kernels that products have instead."""
    import subprocess

    from lilliput.base.machine import compiler

    builder = compiler()
    if builder is None:
        return
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    with suppress(OSError):
        command = [builder, "-shared", "-fPIC", "-O2", "-nostdlib", "-x", "c++", "-", "-o", str(partial)]
        done = subprocess.run(command, input=SOURCE, text=True, capture_output=True, check=False)
        if not done.returncode and libraries.trial(partial) is None:
            libraries.keep(partial, path)


def loaded() -> bool:
    """Whether this process has the library."""
    with suppress(OSError):
        return NAME in Path("/proc/self/maps").read_text()
    return False


def name() -> str:
    """Return the name that a run records for the choice of products' kernels: 'mkl-intel' or 'system'."""
    return "mkl-intel" if loaded() else switch.SYSTEM


def state() -> str | None:
    """Describe the kernels of fp32 products in this process; None where MKL chooses well by itself."""
    if not concerned():
        return None
    if loaded():
        return f"MKL's kernels for Intel's processors ({VARIABLE}=system turns it off)"
    if switch.choice(VARIABLE, CHOICES) == switch.SYSTEM:
        return f"MKL's kernels for other processors ({switch.reason(VARIABLE)})"
    return (
        "MKL's kernels for other processors: no C++ compiler built the library, or PyTorch was loaded before Lilliput"
    )
