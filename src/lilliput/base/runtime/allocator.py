"""The memory allocator: whether memory that a step frees is kept for the next step, or returned and faulted in anew.

glibc gives large blocks back to the system as soon as they are free, so that every step pays for the same pages again.
Two cures: another allocator, preloaded when the command starts, or glibc set to keep freed memory. What they gain is
in docs/studies/speed.md. `$LILLIPUT_ALLOCATOR` names one of CHOICES; none of them changes a result.
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
"""auto: the first library that is installed, else glibc; glibc: set to keep memory; system: left as it is."""
JEMALLOC_KEEPS = "dirty_decay_ms:-1,muzzy_decay_ms:-1"

# mallopt's parameters (malloc.h) and the values given them: blocks up to the largest that glibc can manage in its heap
# stay there, the heap never shrinks, and it grows by 64 MiB at a time.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3
_KEEP = ((_M_MMAP_THRESHOLD, 32 * 2**20), (_M_TRIM_THRESHOLD, 2**31 - 1), (_M_TOP_PAD, 64 * 2**20))

GLIBC_KEEPS = {
    "MALLOC_MMAP_THRESHOLD_": str(_KEEP[0][1]),
    "MALLOC_TRIM_THRESHOLD_": str(_KEEP[1][1]),
    "MALLOC_TOP_PAD_": str(_KEEP[2][1]),
}
"""The same for a program that has not started yet, by its environment."""

_kept = False


def asked() -> str:
    """The choice of `$LILLIPUT_ALLOCATOR`, 'auto' where it is not set. Raises ConfigError for none of CHOICES."""
    return switch.choice(VARIABLE, CHOICES)


def installed() -> dict[str, str]:
    """Libraries that could be preloaded here, by allocator: the name that the dynamic linker knows each by."""
    if sys.platform != "linux":
        return {}
    found = {name: next(filter(None, map(find_library, files)), None) for name, files in LIBRARIES.items()}
    return {name: library for name, library in found.items() if library}


def loaded() -> str | None:
    """The preloaded allocator that this process runs on; None for the system's own."""
    with suppress(OSError):  # no /proc: not Linux, so nothing was preloaded
        maps = Path("/proc/self/maps").read_text()
        return next((name for name in LIBRARIES if f"/lib{name}" in maps), None)
    return None


def better_environment(environment: Mapping[str, str]) -> dict[str, str] | None:
    """The environment in which this process should have been started; None where it is well as it is. Raises
    ConfigError when a library is asked for by name and is not installed."""
    wanted = asked()
    if wanted in ("system", "glibc") or loaded() or environment.get("LD_PRELOAD"):
        return None
    libraries = installed()
    if wanted in LIBRARIES and wanted not in libraries:
        raise ConfigError(
            f"{VARIABLE}={wanted}, and its library is not installed",
            f"on Debian and Ubuntu: apt install {PACKAGES[wanted]}",
        )
    chosen = wanted if wanted in libraries else next(iter(libraries), None)
    if chosen is None:
        return None
    return {"MALLOC_CONF": JEMALLOC_KEEPS, **environment, "LD_PRELOAD": libraries[chosen]}


def keep() -> None:
    """Have glibc keep freed memory for the next step, where no other allocator is loaded."""
    global _kept
    if loaded() or asked() == switch.SYSTEM:
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    _kept = mallopt is not None and all(mallopt(parameter, value) for parameter, value in _KEEP)


def name() -> str:
    """The allocator of this process, as a run records it: 'tcmalloc', 'jemalloc', 'glibc' (which keeps) or 'system'."""
    return loaded() or ("glibc" if _kept else switch.SYSTEM)


def planned() -> str:
    """What `lilliput train` would run on here, in words. Raises as `better_environment`."""
    environment = better_environment(os.environ)
    if environment is not None:
        return f"{environment['LD_PRELOAD']}, preloaded by lilliput train ({VARIABLE}=system turns it off)"
    keep()
    return state()


def state() -> str:
    """The allocator of this process, in words."""
    if library := loaded():
        return f"memory by {library} (preloaded; {VARIABLE}=system turns it off)"
    if _kept:
        return f"memory by glibc, which keeps what is freed ({VARIABLE}=system turns it off)"
    return "memory by the system's allocator"
