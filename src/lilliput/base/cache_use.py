"""The use of the cache by running processes: a shared lock on a file or folder. Prune deletes only unlocked entries."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType

if sys.platform != "win32":
    import fcntl


class Held:
    """A file or folder that is in use until `release`, the end of the block, or the end of the object or process."""

    def __init__(self, descriptor: int):
        self._descriptor = descriptor

    def release(self) -> None:
        """Release the lock."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __enter__(self) -> Held:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.release()

    def __del__(self) -> None:
        self.release()


def hold(path: Path) -> Held | None:
    """Mark `path` as in use, and as used now. None where it does not exist (any more) or cannot be locked."""
    held = _locked(path, exclusive=False)
    if held is not None:
        with suppress(OSError):  # of a cache that is read only the age is that of its making
            os.utime(path)
    return held


def claim(path: Path) -> Held | None:
    """Lock `path` against all other users. None where a process uses it, or where its use cannot be known."""
    return _locked(path, exclusive=True)


def _locked(path: Path, exclusive: bool) -> Held | None:
    if sys.platform == "win32":  # which refuses by itself to delete an open file
        return Held(-1)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    held = Held(descriptor)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB if exclusive else fcntl.LOCK_SH)
        if os.path.samestat(os.fstat(descriptor), os.stat(path)):  # else it was deleted or replaced meanwhile
            return held
    except OSError:
        pass  # somebody else holds it, or it is gone: there is no lock to give
    held.release()
    return None
