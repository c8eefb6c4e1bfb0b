"""The cache: the folder of files that can be made again, and the check which of them may be used.

A user who can write a file of the cache decides its content: code that runs here, tokens that are trained on. A file is
used where it and every folder above it inside the cache belong to this user and nobody else can write them.
"""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

OTHERS = stat.S_IWGRP | stat.S_IWOTH
VARIABLE = "LILLIPUT_CACHE"


def named_cache() -> Path | None:
    """`$LILLIPUT_CACHE`, else the user's cache folder; None for a user without a home. Nothing is made."""
    if root := os.environ.get(VARIABLE):
        return Path(root)
    if xdg := os.environ.get("XDG_CACHE_HOME"):
        return Path(xdg) / "lilliput"
    try:
        return Path.home() / ".cache" / "lilliput"
    except RuntimeError:  # an unknown user without HOME, as in a container
        return None


def cache_folder() -> Path:
    """Return the cache: `named_cache`, or `temporary_cache` for a user without a home, for a user whose home cannot be
    written, and where the named cache is not this user's alone (reported once). A `$LILLIPUT_CACHE` that cannot be
    written is returned unchanged, so that the error of the write names the setting."""
    named = named_cache()
    if named is None:
        return temporary_cache()
    why = refusal(named, named)
    if why is None and not os.environ.get(VARIABLE) and not can_hold(named):
        why = f"{named} cannot be written"
    if why is None:
        return named
    report(f"{why}: the cache is {temporary_cache()} for now ({VARIABLE}=FOLDER names another)")
    return temporary_cache()


def private_folder(kind: str) -> Path:
    """Return the cache's folder for `kind`, made where possible, for this user alone. A folder that others could have
    filled is reported, and the temporary cache is used instead."""
    root = cache_folder()
    folder = root / kind
    if why := refusal(folder, root):
        report(f"{why}: it is not used, and the cache's '{kind}' is {temporary_cache() / kind} for now")
        folder = temporary_cache() / kind
    with suppress(OSError):  # a cache that cannot be written: the writer raises the error
        make_private(folder)
    return folder


def make_private(folder: Path) -> None:
    """Make a folder and those above it that are missing; none of them can be written by others, whatever the umask."""
    missing = [each for each in (folder, *folder.parents) if not os.path.lexists(each)]
    for each in reversed(missing):
        each.mkdir(mode=0o700, exist_ok=True)


def usable(path: Path) -> bool:
    """Return whether a file or folder of the cache exists and may be used. A file that others could have written is
    reported and refused."""
    if not os.path.lexists(path):
        return False
    if why := refusal(path, *roots()):
        report(f"{why}: it is not used, and made again")
        return False
    return True


def roots() -> list[Path]:
    """The folders that are caches of this process."""
    return [root for root in (named_cache(), temporary_cache()) if root is not None]


def refusal(path: Path, *caches: Path) -> str | None:
    """Return why `path` may not be used: a sentence on the first of it and the folders above it, up to one of `caches`,
    that another user owns or others can write, with the command that mends it. None for a path that may be used, or
    does not exist."""
    chain = [path]
    while chain[-1] not in caches and chain[-1] != chain[-1].parent:
        chain.append(chain[-1].parent)
    return next(filter(None, map(_fault, reversed(chain if chain[-1] in caches else [path]))), None)


def tree_refusal(folder: Path, *caches: Path) -> str | None:
    """Return the same for a folder with all files in it. In a folder that nobody else may enter, permissions of files
    (by a umask of 002) do not matter."""
    closed = folder.exists() and not folder.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)
    below = (_fault(path, modes=not closed) for path in _below(folder))
    return refusal(folder, *caches) or next(filter(None, below), None)


def _fault(path: Path, modes: bool = True) -> str | None:
    if not hasattr(os, "geteuid"):  # Windows: a user's cache folder is private by its access list
        return None
    try:
        link, real = path.lstat(), path.stat()
    except OSError:
        return None  # a path that cannot be examined cannot be read either
    for found in (link, real):
        if found.st_uid != os.geteuid():
            return f"{path} belongs to user {found.st_uid}, not to this one ({os.geteuid()})"
    if modes and real.st_mode & OTHERS:
        return f"{path} can be written by other users (mend it: chmod -R go-w {path})"
    return None


def close_to_others(path: Path) -> None:
    """Take from others the right to write a new file, or a new folder with all files in it. A umask may have given them
    this right."""
    for each in (path, *(_below(path) if path.is_dir() else ())):
        if (mode := each.lstat().st_mode) & OTHERS and not stat.S_ISLNK(mode):
            each.chmod(stat.S_IMODE(mode) & ~OTHERS)


def _below(folder: Path) -> Iterator[Path]:
    for root, folders, files in os.walk(folder):
        yield from (Path(root, name) for name in (*folders, *files))


def can_hold(folder: Path) -> bool:
    """Return whether files can be made in `folder`, or in its nearest existing parent; nothing is made."""
    while not os.path.lexists(folder) and folder != folder.parent:
        folder = folder.parent
    return os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK)


@cache
def temporary_cache() -> Path:
    """Return a folder of this user alone among the temporary files. A folder of this name that others own or can write
    is not used, because libraries are loaded from here. Where no folder can be made, return a path that cannot be
    written."""
    user = os.getuid() if hasattr(os, "getuid") else 0  # Windows: all files are of user 0, and the folder is private
    try:
        folder = Path(tempfile.gettempdir()) / f"lilliput-{user}"
        folder.mkdir(mode=0o700, exist_ok=True)
        own = _fault(folder) is None and not folder.is_symlink()
        return folder if own else Path(tempfile.mkdtemp(prefix="lilliput-"))
    except OSError:
        return Path(os.devnull) / "lilliput"


@cache
def report(line: str) -> None:
    """Print a line on standard error, once in a process."""
    sys.stderr.write(f"{line}\n")
