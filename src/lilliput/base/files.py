"""Files that are either whole or not there: atomic writes, fsync, SHA-256."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from functools import cache
from pathlib import Path
from typing import Any


def sha256(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
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
    """Write `text` whole or not at all: a reader sees the old file or the new one, never a part."""
    partial = path.with_name(path.name + ".tmp")
    with open(partial, "w", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, whole or not at all."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """The value in a JSON file. Raises OSError or ValueError as `json` does."""
    return json.loads(path.read_text(encoding="utf-8"))


def cache_folder() -> Path:
    """Where things that can be made again are kept: `$LILLIPUT_CACHE`, else the user's cache folder."""
    root = os.environ.get("LILLIPUT_CACHE")
    if root:
        return Path(root)
    if xdg := os.environ.get("XDG_CACHE_HOME"):
        return Path(xdg) / "lilliput"
    try:
        return Path.home() / ".cache" / "lilliput"
    except RuntimeError:  # an unknown user without HOME, as in a container
        return _temporary()


@cache
def _temporary() -> Path:
    """A folder of this user alone among the temporary files. One of its name that belongs to somebody else is not used,
    since libraries are loaded from here."""
    folder = Path(tempfile.gettempdir()) / f"lilliput-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        own = folder.stat().st_uid == os.getuid() and not folder.is_symlink()
    except OSError:
        own = False
    return folder if own else Path(tempfile.mkdtemp(prefix="lilliput-"))
