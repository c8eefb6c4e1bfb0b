"""The memory allocator: whether what a step frees is kept for the next one, or handed back and faulted in anew.

glibc gives large blocks back to the system as soon as they are free, so that every step pays for the same pages again.
Two cures: another allocator, preloaded when the command starts, or glibc told to keep what it has. What they gain is
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

from lilliput.base.errors import ConfigError, nearest

VARIABLE = "LILLIPUT_ALLOCATOR"
LIBRARIES = {"tcmalloc": ("tcmalloc_minimal", "tcmalloc"), "jemalloc": ("jemalloc",)}
PACKAGES = {"tcmalloc": "libtcmalloc-minimal4", "jemalloc": "libjemalloc2"}
"""Debian's and Ubuntu's package of each library."""
CHOICES = ("auto", "system", "glibc", *LIBRARIES)
"""auto: the first library that is installed, else glibc; glibc: told to keep memory; system: left as it is."""
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
"""The same said to a program that has not started yet, by its environment."""


def asked() -> str:
    """What `$LILLIPUT_ALLOCATOR` says, 'auto' when it says nothing. Raises ConfigError for a name that is none."""
    name = os.environ.get(VARIABLE) or "auto"
    if name not in CHOICES:
        raise ConfigError(
            f"{VARIABLE}={name} names no allocator{nearest(name, CHOICES)}", f"known: {', '.join(CHOICES)}"
        )
    return name


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


def restart_on_better() -> None:
    """Start this very command again on a better allocator, if there is one; nothing else may have begun."""
    environment = better_environment(os.environ)
    if environment is not None:
        os.execve(sys.executable, sys.orig_argv, environment)


def keep() -> str:
    """Keep freed memory for the next step as far as this process can, and say in a few words what is in use."""
    library = loaded()
    if library:
        return f"memory by {library} (preloaded; {VARIABLE}=system turns it off)"
    if asked() == "system":
        return "memory by the system's allocator"
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is None or not all(mallopt(parameter, value) for parameter, value in _KEEP):
        return "memory by the system's allocator"
    return f"memory by glibc, which keeps what is freed ({VARIABLE}=system turns it off)"
