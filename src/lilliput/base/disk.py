"""A disk without room: which file, how much it needs, how to go on; and nothing half written stays behind."""

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
    """Raises DiskError where the block, which writes `needed` bytes to `path`, finds no room for them."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL or isinstance(error, DiskError):
            raise
        raise no_room(path, needed, error.errno) from error


def no_room(path: Path, needed: int, number: int, kept: str = "") -> DiskError:
    """The error of a file or folder that needs that many bytes; `kept` is what stays in any case."""
    free = "" if (there := free_bytes(path)) is None else f", of which {size(there)} are free"
    error = DiskError(
        f"cannot write {path}: {FULL[number]}; it needs {size(needed)}{free}{kept}",
        "free some space there, then type the same command again to go on",
    )
    error.errno, error.strerror, error.filename = number, FULL[number], str(path)
    return error


def free_bytes(path: Path) -> int | None:
    """Bytes that are free where `path` is or will be; None where the system does not answer."""
    while not path.exists() and path != path.parent:
        path = path.parent
    with suppress(OSError):
        return shutil.disk_usage(path).free
    return None


def size(count: int) -> str:
    """Bytes in words."""
    return f"{count / 1e6:,.1f} MB" if count >= 100_000 else f"{count:,} bytes"


def append_text(path: Path, text: str) -> None:
    """Add `text` to the end of a file, flushed. Raises DiskError where there is no room, with the file as it was."""
    content = text.encode()
    with open(path, "ab", buffering=0) as file:
        before = file.tell()
        try:
            with writing(path, len(content)):
                for part in iter(lambda: content[file.tell() - before :], b""):
                    if not file.write(part):
                        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            with suppress(OSError):  # the error that is raised is the one that counts
                file.truncate(before)
            raise
