"""Files that are either whole or not there: atomic writes, fsync, SHA-256."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from lilliput.base import reading
from lilliput.base.disk import writing
from lilliput.base.errors import DiskError


def sha256(path: Path) -> str:
    """Return the hex SHA-256 of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync(path: Path) -> None:
    """Force a file's or folder's content to the disk, so that a later rename cannot overtake it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    """Write `text` whole or not at all: a reader sees the old file or the new file, never a part. Raises DiskError
    where there is no room."""
    partial = path.with_name(path.name + ".tmp")
    try:
        with writing(path, len(text.encode())), open(partial, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except DiskError:
        partial.unlink(missing_ok=True)
        raise
    os.replace(partial, path)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, whole or not at all."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """Return the value in a JSON file. Raises OSError, and FileError (a ValueError) for text that is not JSON."""
    return reading.read_json(path)


def named_cache() -> Path | None:
    """`$LILLIPUT_CACHE`, else the user's cache folder; None for a user without a home. Nothing is made."""
    root = os.environ.get("LILLIPUT_CACHE")
    if root:
        return Path(root)
    if xdg := os.environ.get("XDG_CACHE_HOME"):
        return Path(xdg) / "lilliput"
    try:
        return Path.home() / ".cache" / "lilliput"
    except RuntimeError:  # an unknown user without HOME, as in a container
        return None


def cache_folder() -> Path:
    """Where things that can be made again are kept: `named_cache`, else a folder of this user alone among the temporary
    files."""
    return named_cache() or temporary_cache()


def can_hold(folder: Path) -> bool:
    """Whether files can be made in `folder`, or in what of it exists so far; nothing is made."""
    while not os.path.lexists(folder) and folder != folder.parent:
        folder = folder.parent
    return os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK)


@cache
def temporary_cache() -> Path:
    """A folder of this user alone among the temporary files. One of its name that belongs to somebody else is not used,
    since libraries are loaded from here. Where nothing can be made, a place that cannot be written either."""
    user = os.getuid() if hasattr(os, "getuid") else 0  # Windows: all files are of user 0, and the folder is private
    try:
        folder = Path(tempfile.gettempdir()) / f"lilliput-{user}"
        folder.mkdir(mode=0o700, exist_ok=True)
        own = folder.stat().st_uid == user and not folder.is_symlink()
        return folder if own else Path(tempfile.mkdtemp(prefix="lilliput-"))
    except OSError:
        return Path(os.devnull) / "lilliput"
