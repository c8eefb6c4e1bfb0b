"""Products: MKL's fast kernels for matrix products on processors that are not Intel's.

PyTorch's Linux builds take fp32 products from Intel's MKL. MKL calls one of its own functions to find out whether Intel
made the processor, and uses slower kernels on other processors. Lilliput loads a library before PyTorch that replaces
this function and always returns true. MKL then chooses its kernels by the instructions of the processor. Daniël de Kok
found the function (https://danieldk.eu/Posts/2020-08-31-MKL-Zen.html). docs/studies/speed.md has the gain in speed.
Another order of sums may change the last bits of a result.
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
"""auto: fast kernels on every x86-64 processor; system: the kernels that MKL chooses."""
SOURCE = 'extern "C" int mkl_serv_intel_cpu_true() { return 1; }\n'
NAME = "mkl_serv_intel_cpu_true.so"
CPUINFO = Path("/proc/cpuinfo")


def library() -> Path:
    """Return the path of the built library."""
    return private_folder("native") / NAME


def concerned() -> bool:
    """Return whether MKL would choose its slower kernels here, which it does on Linux on an x86-64 processor that is
    not Intel's."""
    if sys.platform != "linux" or os.uname().machine != "x86_64" or not CPUINFO.exists():
        return False
    with CPUINFO.open(errors="replace") as file:
        return "GenuineIntel" not in file.read(200)


def prepare() -> Path | None:
    """Build the library where it has an effect (50 ms, once a machine), and load it unless PyTorch is already loaded.
    Returns the path of the library. Raises ConfigError where `$LILLIPUT_MKL` is none of CHOICES."""
    if switch.choice(VARIABLE, CHOICES) == switch.SYSTEM or not concerned():
        return None
    path = library()
    if libraries.whole(path):
        _load(path)
    if not libraries.whole(path):  # the file is also missing after `_load` has removed the file of another machine
        _build(path)
        if not libraries.whole(path):
            return None
        _load(path)
    return path


def _load(path: Path) -> None:
    """Load the library. A file of another machine is removed, so that the library is built again."""
    if "torch" in sys.modules:
        return
    import ctypes

    try:
        ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
    except OSError:
        with suppress(OSError):
            path.unlink()


def _build(path: Path) -> None:
    """Compile SOURCE into `path`. Without a compiler or a cache that can be written, nothing happens. `state` then
    reports the kernels in use."""
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
    """Return whether this process has loaded the library."""
    with suppress(OSError):
        return NAME in Path("/proc/self/maps").read_text()
    return False


def name() -> str:
    """Return the name that a run records for the choice of products' kernels: 'mkl-intel' or 'system'."""
    return "mkl-intel" if loaded() else switch.SYSTEM


def state() -> str | None:
    """Describe the kernels of fp32 products in this process; None where MKL's own choice is fast."""
    if not concerned():
        return None
    if loaded():
        return f"MKL's kernels for Intel's processors ({VARIABLE}=system turns it off)"
    if switch.choice(VARIABLE, CHOICES) == switch.SYSTEM:
        return f"MKL's kernels for other processors ({switch.reason(VARIABLE)})"
    return (
        "MKL's kernels for other processors: no C++ compiler built the library, or PyTorch was loaded before Lilliput"
    )
