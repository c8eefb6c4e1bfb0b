"""Shared libraries that are built on this machine and kept: tried once, with a hash beside them, checked when loaded.

The dynamic loader maps a file without reading it: a library that was cut short ends the process with a bus error, and
one with a wrong byte computes something else. So nothing is loaded whose content is not what was built. The hash is no
protection from a person who can write both files: owner and permissions are (base/cache.py).
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
    """Where the hash of a kept library is."""
    return library.with_name(f"{library.name}.sha256")


def keep(partial: Path, library: Path) -> None:
    """Give a library that was built its name, on the disk before its hash is: until both are there, it does not
    count."""
    close_to_others(partial)
    sync(partial)
    content = sha256(partial)
    os.replace(partial, library)
    sync(library.parent)
    write_text(hash_file(library), f"{content}\n")
    close_to_others(hash_file(library))


def whole(library: Path) -> bool:
    """Whether a library is kept that is what was built, by this user, where nobody else can write. It is in use from
    now on, so that `lilliput cache prune` leaves it."""
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
    """What goes wrong when a process of its own loads the library, in words; None when all is well."""
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
