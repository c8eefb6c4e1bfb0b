"""The cache of data that can be made again: found by a key, written whole or not at all, by one process at a time."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lilliput.base.cache import close_to_others, make_private
from lilliput.base.cache_use import Held, hold
from lilliput.base.errors import DataError


class Notes(list[str]):
    """Messages for the user, kept in a list and printed at once."""

    def __init__(self, notify: Callable[[str], None] | None = None):
        super().__init__()
        self._say = notify

    def add(self, line: str) -> None:
        """Keep the line and print it."""
        self.append(line)
        if self._say:
            self._say(line)


@contextmanager
def locked(root: Path, key: str, notes: Notes) -> Iterator[None]:
    """Wait until no other process works under `key`. Raises DataError when `root` cannot be written, also for a file
    written inside the block."""
    from filelock import FileLock, Timeout

    lock = FileLock(root / "locks" / f"{key}.lock")
    try:
        make_private(Path(lock.lock_file).parent)
        try:
            lock.acquire(timeout=1)
        except Timeout:
            notes.add("another process prepares the same data: waiting for it")
            lock.acquire()
        try:
            yield
        finally:
            lock.release()
    except BrokenPipeError:
        raise  # the reader of the progress has closed its pipe; the cache is not at fault
    except OSError as error:
        raise DataError(
            f"cannot write the cache in {root}: {error.strerror or error}",
            "free some space, or choose another folder: LILLIPUT_CACHE=/path lilliput ...",
        ) from None


def publish(folder: Path, write: Callable[[Path], None]) -> Held | None:
    """Let `write` fill a new folder beside `folder`, then rename it to `folder` whole. The remains of a killed process
    are removed, because the caller holds the lock. The folder is marked as in use from its first moment; return the
    mark, which the caller releases."""
    make_private(folder.parent)
    for left in folder.parent.glob(f"{folder.name}.*.tmp"):
        shutil.rmtree(left)
    place, old = (folder.with_name(f"{folder.name}.{name}.tmp") for name in ("new", "old"))
    place.mkdir()
    held = hold(place)  # a lock stays on a folder that is renamed
    try:
        write(place)
        close_to_others(place)
        if folder.exists():
            folder.rename(old)
        place.rename(folder)
        return held
    finally:
        for left in (place, old):
            shutil.rmtree(left, ignore_errors=True)
