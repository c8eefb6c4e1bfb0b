"""Store: a labels file. Each line is on the disk before the next item is shown, and a cut line harms no other line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from lilliput.base.config import validate
from lilliput.base.console import print_line
from lilliput.base.disk import append_text
from lilliput.base.errors import ConfigError, DataError, FileError
from lilliput.base.files import sync
from lilliput.base.reading import from_json, read_bytes
from lilliput.lab.labelling.record import Record

LOCK_SECONDS = 10.0


class Store:
    """The labels file at `path`, which need not exist yet. Several people may label into one file at the same time."""

    def __init__(self, path: Path):
        self.path = path

    def append(self, record: Record) -> None:
        """Add a line, and return when it is on the disk. A line that a crash had cut off stays where it is; the new
        line begins below it. Raises DiskError where there is no room, and ConfigError for a file that stays locked."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            new = not self.path.exists()
            with FileLock(self.path.with_name(f".{self.path.name}.lock"), timeout=LOCK_SECONDS):
                append_text(self.path, ("" if self._ended() else "\n") + record.line())
                sync(self.path)
                if new:
                    sync(self.path.parent)
        except Timeout:
            raise ConfigError(f"{self.path} has been locked by another program for {LOCK_SECONDS:.0f} s") from None

    def _ended(self) -> bool:
        """Whether the file ends with a whole line."""
        if not self.path.exists():
            return True
        with open(self.path, "rb") as file:
            if file.seek(0, 2) == 0:
                return True
            file.seek(-1, 2)
            return file.read(1) == b"\n"


def read(path: Path, notify: Callable[[str], None] = print_line) -> list[Record]:
    """The records of a labels file, oldest first; none where there is no file. A line that is no whole JSON (a crash
    cut it off) is left out and reported. Raises DataError for a line that is JSON and no record."""
    try:
        lines = read_bytes(path).split(b"\n")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from None
    records, cut = [], []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            value = from_json(line.decode("utf-8"))
        except (UnicodeDecodeError, FileError):
            cut.append(number)
            continue
        if not isinstance(value, dict):
            raise DataError(f"{path}, line {number}: this is no line of a labels file")
        try:
            records.append(validate(Record, value, f"{path}, line {number}"))
        except ConfigError as error:
            raise DataError(error.message, "lilliput label writes such files; check the path") from None
    if cut:
        notify(f"{path}: line {', '.join(map(str, cut))} is cut off and is left out")
    return records


def read_all(paths: Sequence[Path], notify: Callable[[str], None] = print_line) -> list[Record]:
    """The records of several labels files. Raises DataError for a file that is missing."""
    for path in paths:
        if not path.exists():
            raise DataError(f"there is no labels file {path}", "make one: lilliput label RUN")
    return [record for path in paths for record in read(path, notify)]


def live(records: Iterable[Record]) -> list[Record]:
    """The answers that count: the last answer of each labeller to each item, unless it was undone."""
    kept: dict[tuple[str, str], Record] = {}
    for record in records:
        key = record.item, record.labeller
        kept.pop(key, None)
        if record.event == "answer":
            kept[key] = record
    return list(kept.values())
