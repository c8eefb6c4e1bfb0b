"""C++ code: built on this machine for its own processor, in a second or two, and then kept."""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import subprocess
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

from lilliput.base import machine
from lilliput.base.cache import private_folder
from lilliput.base.errors import ConfigError
from lilliput.base.runtime import libraries, switch

FLAGS = ("-O3", "-std=c++17", "-fno-math-errno", "-shared", "-fPIC")
WAYS = (("-march=native", "-fopenmp"), ("-mcpu=native", "-fopenmp"), ("-march=native",), ("-mcpu=native",), ())
"""Flags that not every compiler knows, the fastest first. The first flags that build are used."""
SANITIZE = "LILLIPUT_SANITIZE"
"""The variable that names the sanitizers of a build, in the form of -fsanitize. `make sanitize` sets it. Such builds
are kept apart, because their flags are part of their name."""


@cache
def build(source: Path, flags: tuple[str, ...] = ()) -> ctypes.CDLL:
    """Load the library of `source`, which may include headers of its own folder. Where no undamaged build is kept, the
    source is built with FLAGS and `flags` first. Raises ConfigError where the build fails."""
    if reason := why_not():
        raise ConfigError(reason, f"unset {switch.PLAIN}" if switch.plain() else "install g++")
    builder = machine.compiler() or ""
    kept = private_folder("native") / f"{key(source, flags)}.so"
    flags = (*flags, *sanitizers())
    if libraries.whole(kept):  # else the library is built again
        with suppress(OSError):
            return ctypes.CDLL(str(kept))
    try:
        partial = kept.with_name(f"{kept.name}.{os.getpid()}")
        partial.touch()
    except OSError:  # without a cache that can be written, every process builds the library again
        return _unkept(builder, source, flags)
    _compile(builder, source, flags, partial)
    libraries.keep(partial, kept)
    libraries.whole(kept)  # in use from now on
    return ctypes.CDLL(str(kept))


def why_not() -> str | None:
    """Return the reason why nothing can be built here (LILLIPUT_PLAIN, or no compiler); None where building is
    possible."""
    if switch.plain():
        return f"{switch.PLAIN}=1 leaves C++ out"
    return None if machine.compiler() else "there is no C++ compiler on this machine"


def key(source: Path, flags: tuple[str, ...] = ()) -> str:
    """Return the name of a build: 16 hexadecimal digits of a hash over its source, its flags, the compiler and the
    processor. These four decide the results of the build."""
    builder = machine.compiler() or "none"
    version = ""
    if machine.compiler():
        version = subprocess.run([builder, "--version"], capture_output=True, text=True, check=False).stdout
    text = "".join(file.read_text() for file in (source, *sorted(source.parent.glob("*.h"))))
    processor = (machine.cpu_name(), *machine.features())  # a cluster's machines may share a name and the cache
    what = (text, version, *processor, platform.platform(), repr((FLAGS, (*flags, *sanitizers()), WAYS)))
    return hashlib.sha256(chr(0).join(what).encode()).hexdigest()[:16]


def sanitizers() -> tuple[str, ...]:
    """Return the flags for the sanitizers that $LILLIPUT_SANITIZE names. A finding then ends the process."""
    named = os.environ.get(SANITIZE)
    traced = ("-fno-omit-frame-pointer", "-fno-sanitize-recover=all", "-g", "-O1")
    return (f"-fsanitize={named}", *traced) if named else ()


def _unkept(builder: str, source: Path, flags: tuple[str, ...]) -> ctypes.CDLL:
    """Build the library for this process alone: a loaded library stays when its file is deleted. Raises ConfigError
    where temporary files cannot be written either."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / f"{source.stem}.so"
            _compile(builder, source, flags, file)
            return ctypes.CDLL(str(file))
    except OSError as error:
        hint = "set LILLIPUT_CACHE to a folder that can be written"
        raise ConfigError(f"the compiled library cannot be written: {error}", hint) from None


def _compile(builder: str, source: Path, flags: tuple[str, ...], target: Path) -> None:
    """Raise ConfigError with the last words of the compiler, or of a process that tried to load the new library."""
    command, problem = [builder], "no way of compiling is known"
    for way in WAYS:
        command = [builder, *FLAGS, *flags, *way, str(source), "-o", str(target)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        problem = done.stderr[-1000:] if done.returncode else libraries.trial(target)
        if problem is None:
            return
    target.unlink(missing_ok=True)
    raise ConfigError(f"{' '.join(command)} failed:\n{problem}", "set CXX to another compiler")
