"""A full disk: report the file and the bytes that it needs, and leave no half-written file behind."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lilliput.base.errors import DiskError

FULL = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file size limit (ulimit -f) is reached",
}


@contextmanager
def writing(path: Path, needed: int) -> Iterator[None]:
    """Raise DiskError where the block, which writes `needed` bytes to `path`, finds no room for them."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL or isinstance(error, DiskError):
            raise
        raise no_room(path, needed, error.errno) from error


def no_room(path: Path, needed: int, number: int, kept: str = "") -> DiskError:
    """Return the error for a file or folder that needs `needed` bytes. `kept` is a phrase about data that are not
    lost."""
    free = "" if (there := free_bytes(path)) is None else f", of which {size(there)} are free"
    error = DiskError(
        f"cannot write {path}: {FULL[number]}; it needs {size(needed)}{free}{kept}",
        "free some space there, then type the same command again to resume",
    )
    error.errno, error.strerror, error.filename = number, FULL[number], str(path)
    return error


def free_bytes(path: Path) -> int | None:
    """Return the free bytes on the disk of `path`, which need not exist; None where the system does not answer."""
    while not path.exists() and path != path.parent:
        path = path.parent
    with suppress(OSError):
        return shutil.disk_usage(path).free
    return None


def size(count: int) -> str:
    """Format bytes for a message."""
    return f"{count / 1e6:,.1f} MB" if count >= 100_000 else f"{count:,} bytes"


def append_text(path: Path, text: str) -> None:
    """Add `text` to the end of a file, and flush it. Raises DiskError where there is no room; the file is then
    unchanged."""
    content = text.encode()
    with open(path, "ab", buffering=0) as file:
        before = file.tell()
        try:
            with writing(path, len(content)):
                for part in iter(lambda: content[file.tell() - before :], b""):
                    if not file.write(part):
                        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            with suppress(OSError):  # the error of the full disk is raised, not an error of the clean-up
                file.truncate(before)
            raise
