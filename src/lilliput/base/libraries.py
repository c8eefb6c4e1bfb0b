"""Shared libraries that are built on this machine and kept: tried once, with a hash beside them, checked when loaded.

The dynamic loader maps a file without reading it: a library that was cut short ends the process with a bus error, and
one with a wrong byte computes something else. So that nothing is loaded whose content is not what was built.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from lilliput.base.files import sha256, sync, write_text

TRIAL = "import ctypes, os, sys; ctypes.CDLL(sys.argv[1], mode=os.RTLD_NOW)"
TRIAL_SECONDS = 60


def hash_file(library: Path) -> Path:
    """Where the hash of a kept library is."""
    return library.with_name(f"{library.name}.sha256")


def keep(partial: Path, library: Path) -> None:
    """Give a library that was built its name, on the disk before its hash is: until both are there, it does not
    count."""
    sync(partial)
    content = sha256(partial)
    os.replace(partial, library)
    sync(library.parent)
    write_text(hash_file(library), f"{content}\n")


def whole(library: Path) -> bool:
    """Whether a library is kept that is what was built."""
    try:
        return sha256(library) == hash_file(library).read_bytes().decode("ascii", "replace").strip()
    except OSError:
        return False


def trial(library: Path) -> str | None:
    """What goes wrong when a process of its own loads the library, in words; None when all is well."""
    import signal
    import subprocess  # here, since every import of Lilliput checks a library, and hardly any tries one

    command = [sys.executable, "-I", "-S", "-c", TRIAL, str(library)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TRIAL_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode < 0:
        return f"loading it ends with {signal.Signals(-done.returncode).name}"
    return (done.stderr.strip().splitlines() or ["it cannot be loaded"])[-1] if done.returncode else None
