"""MKL on processors that are not Intel's: told that they are, it multiplies matrices with its fast kernels.

PyTorch's Linux builds take fp32 products from Intel's MKL, which asks a function of its own whether the processor is
Intel's and keeps slower kernels for the others. A library that defines that function again, and is loaded before
PyTorch is, answers yes; MKL then goes by the instructions that the processor has. Found by Daniël de Kok
(https://danieldk.eu/Posts/2020-08-31-MKL-Zen.html); what it gains is in docs/studies/speed.md. Another order of sums
may change the last bits of a result.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

from lilliput.base import libraries
from lilliput.base.errors import ConfigError, nearest
from lilliput.base.files import cache_folder

VARIABLE = "LILLIPUT_MKL"
CHOICES = ("auto", "system")
"""auto: fast kernels on every x86-64 processor; system: as MKL chooses."""
SOURCE = 'extern "C" int mkl_serv_intel_cpu_true() { return 1; }\n'
CPUINFO = Path("/proc/cpuinfo")


def library() -> Path:
    """Where the built library is kept."""
    return cache_folder() / "native" / "mkl_serv_intel_cpu_true.so"


def concerned() -> bool:
    """Whether MKL would choose its slower kernels here: on Linux, on an x86-64 processor that is not Intel's."""
    if sys.platform != "linux" or os.uname().machine != "x86_64" or not CPUINFO.exists():
        return False
    with CPUINFO.open(errors="replace") as file:
        return "GenuineIntel" not in file.read(200)


def answer() -> None:
    """Load the library, if it was built once and PyTorch is not loaded yet. Every import of Lilliput does it."""
    if (os.environ.get(VARIABLE) or "auto") == "auto" and concerned() and libraries.whole(library()):
        _load(library())


def prepare() -> Path | None:
    """Build the library where it is of use (50 ms, once a machine), and load it as `answer` does; returns where it is.
    Raises ConfigError where `$LILLIPUT_MKL` is none of CHOICES."""
    name = os.environ.get(VARIABLE) or "auto"
    if name not in CHOICES:
        raise ConfigError(f"{VARIABLE}={name} is unknown{nearest(name, CHOICES)}", f"known: {', '.join(CHOICES)}")
    if name == "system" or not concerned():
        return None
    answer()
    if not libraries.whole(library()):
        _build(library())
        answer()
    return library() if libraries.whole(library()) else None


def _load(path: Path) -> None:
    """A file of another machine goes away, to be built anew."""
    if "torch" in sys.modules:
        return
    import ctypes

    try:
        ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
    except OSError:
        with suppress(OSError):
            path.unlink()


def _build(path: Path) -> None:
    """Compile SOURCE into `path`; without a compiler or a cache that can be written, nothing happens, and `state` says
    what products are left with."""
    import subprocess

    from lilliput.base.machine import compiler

    builder = compiler()
    if builder is None:
        return
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        command = [builder, "-shared", "-fPIC", "-O2", "-nostdlib", "-x", "c++", "-", "-o", str(partial)]
        done = subprocess.run(command, input=SOURCE, text=True, capture_output=True, check=False)
        if not done.returncode and libraries.trial(partial) is None:
            libraries.keep(partial, path)


def loaded() -> bool:
    """Whether this process has the library."""
    with suppress(OSError):
        return library().name in Path("/proc/self/maps").read_text()
    return False


def state() -> str | None:
    """Which kernels fp32 products have in this process, in words; None where MKL chooses well by itself."""
    if not concerned():
        return None
    if loaded():
        return f"MKL's kernels for Intel's processors ({VARIABLE}=system turns it off)"
    if os.environ.get(VARIABLE) == "system":
        return f"MKL's kernels for other processors ({VARIABLE}=system)"
    return (
        "MKL's kernels for other processors: no C++ compiler built the library, or PyTorch was loaded before Lilliput"
    )
