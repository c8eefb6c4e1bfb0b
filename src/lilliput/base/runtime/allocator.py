"""The memory allocator: it keeps the memory that a step frees for the next step, or returns it to the system.

glibc returns large blocks to the system as soon as they are free, so every step pays for the same pages again. Two
changes prevent this: another allocator, which is preloaded when the command starts, or glibc with a setting to keep
freed memory. docs/studies/speed.md has the gain in speed. `$LILLIPUT_ALLOCATOR` names one of CHOICES. No choice changes
a result.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from ctypes.util import find_library
from pathlib import Path

from lilliput.base.errors import ConfigError
from lilliput.base.runtime import switch

VARIABLE = "LILLIPUT_ALLOCATOR"
LIBRARIES = {"tcmalloc": ("tcmalloc_minimal", "tcmalloc"), "jemalloc": ("jemalloc",)}
PACKAGES = {"tcmalloc": "libtcmalloc-minimal4", "jemalloc": "libjemalloc2"}
"""Debian's and Ubuntu's package of each library."""
CHOICES = ("auto", "system", "glibc", *LIBRARIES)
"""auto: the first library that is installed, else glibc; glibc: set to keep memory; system: unchanged."""
JEMALLOC_KEEPS = "dirty_decay_ms:-1,muzzy_decay_ms:-1"

# mallopt's parameters (malloc.h) and their values. Blocks up to the largest size that glibc allows stay in the heap.
# The heap never shrinks, and it grows by 64 MiB at a time.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3
_KEEP = ((_M_MMAP_THRESHOLD, 32 * 2**20), (_M_TRIM_THRESHOLD, 2**31 - 1), (_M_TOP_PAD, 64 * 2**20))

GLIBC_KEEPS = {
    "MALLOC_MMAP_THRESHOLD_": str(_KEEP[0][1]),
    "MALLOC_TRIM_THRESHOLD_": str(_KEEP[1][1]),
    "MALLOC_TOP_PAD_": str(_KEEP[2][1]),
}
"""The same settings as environment variables, for a program that has not started yet."""

_kept = False


def asked() -> str:
    """Return the choice of `$LILLIPUT_ALLOCATOR`, 'auto' where it is not set. Raises ConfigError for a value outside
    CHOICES."""
    return switch.choice(VARIABLE, CHOICES)


def installed() -> dict[str, str]:
    """Return the libraries that can be preloaded here, by allocator. Each value is the name by which the dynamic linker
    finds the library."""
    if sys.platform != "linux":
        return {}
    found = {name: next(filter(None, map(find_library, files)), None) for name, files in LIBRARIES.items()}
    return {name: library for name, library in found.items() if library}


def loaded() -> str | None:
    """Return the name of the preloaded allocator of this process; None for the system's own allocator."""
    with suppress(OSError):  # no /proc: not Linux, so nothing was preloaded
        maps = Path("/proc/self/maps").read_text()
        return next((name for name in LIBRARIES if f"/lib{name}" in maps), None)
    return None


def better_environment(environment: Mapping[str, str]) -> dict[str, str] | None:
    """Return the environment in which this process should start again; None where no restart is needed. Raises
    ConfigError when the variable names a library that is not installed."""
    wanted = asked()
    if wanted in ("system", "glibc") or loaded() or environment.get("LD_PRELOAD"):
        return None
    libraries = installed()
    if wanted in LIBRARIES and wanted not in libraries:
        raise ConfigError(
            f"{VARIABLE}={wanted}, but its library is not installed",
            f"on Debian and Ubuntu: apt install {PACKAGES[wanted]}",
        )
    chosen = wanted if wanted in libraries else next(iter(libraries), None)
    if chosen is None:
        return None
    return {"MALLOC_CONF": JEMALLOC_KEEPS, **environment, "LD_PRELOAD": libraries[chosen]}


def keep() -> None:
    """Set glibc to keep freed memory for the next step, where no other allocator is loaded."""
    global _kept
    if loaded() or asked() == switch.SYSTEM:
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    _kept = mallopt is not None and all(mallopt(parameter, value) for parameter, value in _KEEP)


def name() -> str:
    """Return the name that a run records for the allocator: 'tcmalloc', 'jemalloc', 'glibc' (set to keep memory) or
    'system'."""
    return loaded() or ("glibc" if _kept else switch.SYSTEM)


def planned() -> str:
    """Describe the allocator that `lilliput train` would use here. Raises the errors of `better_environment`."""
    environment = better_environment(os.environ)
    if environment is not None:
        return f"{environment['LD_PRELOAD']}, preloaded by lilliput train ({VARIABLE}=system turns it off)"
    keep()
    return state()


def state() -> str:
    """Describe the allocator of this process."""
    if library := loaded():
        return f"memory by {library} (preloaded; {VARIABLE}=system turns it off)"
    if _kept:
        return f"memory by glibc, which keeps what is freed ({VARIABLE}=system turns it off)"
    return "memory by the system's allocator"
