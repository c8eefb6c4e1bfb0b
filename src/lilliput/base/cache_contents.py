"""The contents of the cache: entries with kind, size and age, and their removal where no process uses them."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lilliput.base.cache import named_cache, temporary_cache
from lilliput.base.cache_use import claim
from lilliput.base.errors import ConfigError, nearest

KINDS = {
    "tokens": "tokenised data, found again by what it was made of",
    "tokenizers": "trained tokenizers",
    "native": "C++ built for this processor: kernels, decoding steps, MKL's answer",
    "inductor": "code that torch.compile made",
    "machine": "measured speeds of this machine",
    "teachers": "likeliest tokens of the teachers of distillation",
    "judge": "answers of a judge, which may have cost money",
}
"""Folders of the cache, each with its use."""
KEPT_UNLESS_NAMED = ("judge",)
"""Kinds that prune removes only where they are named, because making them again is not free."""
BUILD_SECONDS = 3600.0
"""More seconds than a build takes. Older files of a killed build are removed."""
WHOLE = ("inductor",)
"""Kinds whose folder is one entry, because only PyTorch knows which of its files belong together."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the cache: `size` in bytes, `age` in seconds since its last use (for speeds and answers, since they
    were written), and whether a running process uses it."""

    path: Path
    kind: str
    size: int
    age: float
    used: bool

    def as_dict(self) -> dict[str, Any]:
        values = asdict(self)
        return {**values, "path": str(self.path), "purpose": KINDS[self.kind]}


def entries(kinds: Sequence[str] = ()) -> list[Entry]:
    """Return the entries of this user's caches, the temporary cache included: of these `kinds`, else of all. Raises
    ConfigError for a kind that is not in KINDS."""
    for kind in kinds:
        if kind not in KINDS:
            raise ConfigError(f"the cache has no kind '{kind}'{nearest(kind, KINDS)}", f"known: {', '.join(KINDS)}")
    roots = dict.fromkeys(root.absolute() for root in (named_cache(), temporary_cache()) if root is not None)
    found = [_entry(path, kind) for root in roots for kind in kinds or KINDS for path in _paths(root, kind)]
    return [entry for entry in found if entry is not None]


def prune(kinds: Sequence[str] = (), older: float = 0.0, dry_run: bool = False) -> tuple[list[Entry], list[Entry]]:
    """Remove the entries of these `kinds` (else of all but KEPT_UNLESS_NAMED) that are at least `older` seconds old and
    that no running process uses. Return the removed entries (in a `dry_run`, the entries that would be removed), and
    the entries of that age that stay because they are used or cannot be removed."""
    removed, stayed = [], []
    for entry in entries(kinds or [kind for kind in KINDS if kind not in KEPT_UNLESS_NAMED]):
        if entry.age < older:
            continue
        gone = not entry.used if dry_run else _remove(entry.path)
        (removed if gone else stayed).append(entry)
    return removed, stayed


def _paths(root: Path, kind: str) -> Iterator[Path]:
    """The entries of a kind. A hash beside a library belongs to it."""
    folder = root / kind
    if kind in WHOLE:
        yield from [folder] if folder.is_dir() else []
        return
    with suppress(OSError):  # a folder that is not there, or of another user's
        yield from sorted(path for path in folder.iterdir() if path.suffix != ".sha256" and not _begun(path, kind))


def _begun(path: Path, kind: str) -> bool:
    """Whether a compiler may be writing this file. It replaces the file, so no lock would stay on the file."""
    return kind == "native" and path.suffix != ".so" and time.time() - path.lstat().st_mtime < BUILD_SECONDS


def _entry(path: Path, kind: str) -> Entry | None:
    """Return the entry at a path; None where it was removed meanwhile."""
    try:
        age = max(0.0, time.time() - path.stat().st_mtime)
    except OSError:
        return None
    held = claim(path)
    if held is not None:
        held.release()
    return Entry(path, kind, _size(path), age, used=held is None)


def _size(path: Path) -> int:
    files = [path] if path.is_file() else [Path(at, name) for at, _, names in os.walk(path) for name in names]
    size = 0
    for file in files:
        with suppress(OSError):  # removed meanwhile
            size += file.lstat().st_size
    return size


def _remove(path: Path) -> bool:
    """Remove an unused entry. It is renamed first, so that no reader finds a part of it."""
    held = claim(path)
    if held is None:
        return False
    with held:
        aside = path.with_name(f"{path.name}.{os.getpid()}.pruned")
        try:
            path.rename(aside)
            if aside.is_dir():
                shutil.rmtree(aside)
            else:
                aside.unlink()
                path.with_name(f"{path.name}.sha256").unlink(missing_ok=True)
        except OSError:
            return False
    return True
