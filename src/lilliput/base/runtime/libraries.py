"""Shared libraries that are built on this machine and kept. Each library is tried once and has a hash beside it, which
is checked at every load.

The dynamic loader maps a file without reading it. A library that was cut short ends the process with a bus error, and a
library with a wrong byte computes other results. So a library is loaded only where its content is that of the build.
The hash does not protect from a person who can write both files: base/cache.py checks owner and permissions for that.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from lilliput.base.cache import close_to_others, usable
from lilliput.base.cache_use import Held, hold
from lilliput.base.files import sha256, sync, write_text

TRIAL = "import ctypes, os, sys; ctypes.CDLL(sys.argv[1], mode=os.RTLD_NOW)"
TRIAL_SECONDS = 60

_held: dict[Path, Held | None] = {}


def hash_file(library: Path) -> Path:
    """Return the path of a kept library's hash."""
    return library.with_name(f"{library.name}.sha256")


def keep(partial: Path, library: Path) -> None:
    """Give a new library its name, and force it to the disk before its hash. A library without its hash does not
    count."""
    close_to_others(partial)
    sync(partial)
    content = sha256(partial)
    os.replace(partial, library)
    sync(library.parent)
    write_text(hash_file(library), f"{content}\n")
    close_to_others(hash_file(library))


def whole(library: Path) -> bool:
    """Return whether the library is kept with the content of its build, written by this user, in a folder that nobody
    else can write. From now on the library is marked as in use, so that `lilliput cache prune` keeps it."""
    try:
        if not usable(library) or not usable(hash_file(library)):
            return False
        if sha256(library) != hash_file(library).read_bytes().decode("ascii", "replace").strip():
            return False
    except OSError:
        return False
    _held[library] = hold(library)
    return True


def trial(library: Path) -> str | None:
    """Load the library in a process of its own, and return the problem in words; None without a problem."""
    import signal
    import subprocess

    command = [sys.executable, "-I", "-S", "-c", TRIAL, str(library)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TRIAL_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode < 0:
        return f"loading it ends with {signal.Signals(-done.returncode).name}"
    return (done.stderr.strip().splitlines() or ["it cannot be loaded"])[-1] if done.returncode else None
