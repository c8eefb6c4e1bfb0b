"""Outcomes: what a step did to the documents of a chunk, kept as the changes alone.

A file holds a JSON line for each document that the step changed or dropped, and a last line with counts and a checksum.
A file without its last line, or with another checksum, is no file: the step is done again.
"""

from __future__ import annotations

import json
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lilliput.data.corpus.chunks import document_of, values_of, write_lines
from lilliput.data.document import Document
from lilliput.data.steps import Dropped


@dataclass
class Outcomes:
    """What a step did to a chunk: the changed and dropped documents by their places, and counts."""

    changed: list[tuple[int, Document | Dropped]] = field(default_factory=list)
    documents: int = 0
    """Documents that came to the step."""
    bytes: int = 0
    """UTF-8 bytes of their text."""
    bytes_less: int = 0
    """Bytes that changes took away, without those of dropped documents; negative where text grew."""
    dropped: Counter[str] = field(default_factory=Counter)
    dropped_bytes: int = 0
    seconds: float = 0.0
    """Processor seconds of the step."""

    def add(
        self, before: Sequence[Document | Dropped], changed: Sequence[tuple[int, Document | Dropped]], at: int
    ) -> None:
        """Count what a step did to a batch that begins at place `at`. `before` are the batch's outcomes before it."""
        there = [one for one in before if isinstance(one, Document)]
        self.documents += len(there)
        self.bytes += sum(one.size for one in there)
        for place, outcome in changed:
            old = before[place]
            assert isinstance(old, Document)
            if isinstance(outcome, Dropped):
                self.dropped[outcome.reason] += 1
                self.dropped_bytes += old.size
            else:
                self.bytes_less += old.size - outcome.size
            self.changed.append((at + place, outcome))

    def write(self, path: Path) -> None:
        """Write the file whole or not at all."""
        lines = [json.dumps(_line(place, outcome), ensure_ascii=False) + "\n" for place, outcome in self.changed]
        counts = {
            "documents": self.documents,
            "bytes": self.bytes,
            "bytes_less": self.bytes_less,
            "dropped": self.dropped,
            "dropped_bytes": self.dropped_bytes,
            "seconds": round(self.seconds, 4),
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        end = json.dumps({"end": counts, "lines": len(lines), "crc32": _checksum(lines)}) + "\n"
        write_lines(path, [*lines, end])


def read(path: Path) -> Outcomes | None:
    """Return the outcomes in a file; None where there is no file, or a damaged file."""
    try:
        with open(path, encoding="utf-8") as file:
            lines = file.readlines()
        end = json.loads(lines.pop())
        if end["lines"] != len(lines) or end["crc32"] != _checksum(lines):
            return None
        counts = end["end"]
        found = Outcomes(**{**counts, "dropped": Counter(counts["dropped"])})
        for line in lines:
            values = json.loads(line)
            dropped = values.get("dropped")
            outcome = document_of(values) if dropped is None else Dropped(dropped, values.get("like"))
            found.changed.append((values["n"], outcome))
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return None  # not there, or damaged
    return found


def _line(place: int, outcome: Document | Dropped) -> dict[str, Any]:
    if isinstance(outcome, Dropped):
        like = {} if outcome.like is None else {"like": outcome.like}
        return {"n": place, "dropped": outcome.reason, **like}
    return {"n": place, **values_of(outcome)}


def _checksum(lines: Sequence[str]) -> int:
    found = 0
    for line in lines:
        found = zlib.crc32(line.encode("utf-8", "surrogatepass"), found)
    return found
