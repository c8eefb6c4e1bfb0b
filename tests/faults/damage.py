"""Damage to every file that is written: each kind of it, in each file of each writer of `WRITERS`.

A writer fills a folder once (`fill`). For each case the folder is copied, one file is damaged in one way, and `check`
uses what is left as a person would: it returns, or is refused in one line, or raises `Lost`.
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.faults import written
from tests.faults.harness import Build, Case

REGIONS = 8
TEXTS = (".json", ".jsonl", ".yaml", ".md", ".html", ".sha256", "")
OTHER_TYPES = {
    "a list": "[]",
    "null": "null",
    "an object": "{}",
    "a number": "7",
    "a text": '"x"',
    "depth": "[" * 10**5,
}


@dataclass(frozen=True)
class Writer:
    """`files` are patterns of the files in the folder that `fill` filled; `check(folder, pristine, file)` is given the
    damaged copy, the folder as it was, and the damaged file's place in both."""

    name: str
    fill: Callable[[Path], object]
    files: tuple[str, ...]
    check: Callable[[Path, Path, Path], object]


WRITERS = (
    Writer("checkpoint", written.interrupted_run, ("runs/tiny/checkpoints/step-*12/**/*",), written.check_checkpoint),
    Writer("interrupted run", written.interrupted_run, ("runs/tiny/*", "runs/tiny/.*"), written.check_resumed),
    Writer("finished run", written.finished_run, ("runs/tiny/*",), written.check_finished),
    Writer("token cache", written.token_cache, ("cache/tokens/*/*", "cache/tokenizers/*/*"), written.check_tokens),
    Writer("native cache", written.native_cache, ("cache/native/*",), written.check_native),
    Writer("queue", written.queue, ("experiments.yaml", ".experiments.yaml.work/*"), written.check_queue),
    Writer("measurement", written.measurement, ("cache/machine/*",), written.check_measurement),
)


def cases(build: Build) -> list[Case]:
    """Every kind of damage to every file of every writer."""
    return [case for writer in WRITERS for case in _cases(writer, build(writer.fill.__name__, writer.fill))]


def _cases(writer: Writer, pristine: Path) -> Iterator[Case]:
    found = {path.relative_to(pristine) for pattern in writer.files for path in pristine.glob(pattern)}
    files = sorted(path for path in found if (pristine / path).is_file())
    if not files:
        raise ValueError(f"the writer '{writer.name}' wrote none of {writer.files}")
    for file in files:
        other = files[(files.index(file) + 1) % len(files)]
        for kind, harm in _harms(pristine / file, pristine / other):
            yield Case(writer.name, f"{_stable(file)}: {kind}", _Damaged(writer, pristine, file, harm))


def _stable(file: Path) -> str:
    """The file's place without the keys of caches, which change with every version."""
    return re.sub(r"\b[0-9a-f]{16,}\b", "KEY", file.as_posix())


@dataclass(frozen=True)
class _Damaged:
    writer: Writer
    pristine: Path
    file: Path
    harm: Callable[[Path], object]

    def __call__(self, folder: Path) -> None:
        shutil.copytree(self.pristine, folder, dirs_exist_ok=True, symlinks=True)
        self.harm(folder / self.file)
        self.writer.check(folder, self.pristine, self.file)


def _harms(path: Path, other: Path) -> Iterator[tuple[str, Callable[[Path], object]]]:
    content = path.read_bytes()
    for kind, harmed in _contents(content, other.read_bytes(), path.suffix in TEXTS):
        if harmed != content:
            yield kind, _writes(harmed)
    yield "removed", Path.unlink
    yield "a folder", _folder
    yield "a link to nothing", _link


def _writes(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _link(path: Path) -> None:
    path.unlink()
    os.symlink("nowhere", path)


def _contents(content: bytes, other: bytes, text: bool) -> Iterator[tuple[str, bytes]]:
    size = len(content)
    for region, (mask, start) in enumerate(zip(itertools.cycle((0x01, 0x80, 0x10)), range(REGIONS), strict=False)):
        place = size * (2 * start + 1) // (2 * REGIONS)
        if place < size:
            yield (
                f"flip {mask:#x} in region {region}",
                content[:place] + bytes([content[place] ^ mask]) + content[place + 1 :],
            )
    for part in (1, 2, 3):
        yield f"cut at {part}/4", content[: size * part // 4]
    yield "cut by one", content[:-1]
    yield "empty", b""
    yield "NUL", bytes(size)
    yield "NUL from the half on", content[: size // 2] + bytes(size - size // 2)
    yield "its halves swapped", content[size // 2 :] + content[: size // 2]
    yield "swapped with another file", other
    for kind, harmed in OTHER_TYPES.items() if text else ():
        yield kind, harmed.encode()
