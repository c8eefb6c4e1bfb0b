"""metrics.jsonl: one record in each line. A damaged line is left out, and the other lines are used."""

from __future__ import annotations

import json
import math
from bisect import bisect_right
from typing import Any

from lilliput.runs.names import PEAK_MEMORY_BYTES, TOKENS_PER_SECOND, VAL_BITS_PER_BYTE

NUMBERS = ("tokens", "seconds", "loss", "bits_per_byte", VAL_BITS_PER_BYTE, TOKENS_PER_SECOND, PEAK_MEMORY_BYTES)
"""The keys whose values are numbers wherever a record has them."""


def parse_metrics(content: bytes) -> tuple[list[dict[str, Any]], list[int]]:
    """The records, and the numbers (from 1) of the lines that are damaged. A last line without its end was cut short
    by a kill, which is not damage: it is left out."""
    kept, damaged = _entries(content.split(b"\n"))
    return [record for _, record in kept], damaged


def rewound(content: bytes, step: int) -> tuple[bytes, list[int]]:
    """Return the unchanged lines up to `step`, and the numbers of the damaged lines."""
    lines = content.split(b"\n")
    kept, damaged = _entries(lines)
    return b"".join(lines[number - 1] + b"\n" for number, record in kept if record["step"] <= step), damaged


def _entries(lines: list[bytes]) -> tuple[list[tuple[int, dict[str, Any]]], list[int]]:
    """Return the number and record of each usable line, and the numbers of the other lines."""
    found: list[tuple[int, dict[str, Any]]] = []
    damaged = []
    for number, line in enumerate(lines, 1):
        if (record := _record(line)) is not None:
            found.append((number, record))
        elif number < len(lines) or (line and not _cut_short(line)):
            damaged.append(number)
    kept = _in_order(found)
    in_order = {number for number, _ in kept}
    return kept, sorted([*damaged, *(number for number, _ in found if number not in in_order)])


def _cut_short(line: bytes) -> bool:
    return line.startswith(b"{") and line.isascii() and b"\0" not in line


def _record(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or not _is_number(record.get("step")) or not isinstance(record["step"], int):
        return None
    return record if all(record.get(key) is None or _is_number(record[key]) for key in NUMBERS) else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _in_order(found: list[tuple[int, dict[str, Any]]]) -> list[tuple[int, dict[str, Any]]]:
    """Return the longest series of records whose steps do not fall. Steps only rise in a run, so that most changed
    digits are found."""
    ends: list[int] = []  # the lowest step that ends a rising row of each length
    lengths = []
    for _, record in found:
        length = bisect_right(ends, record["step"])
        ends[length : length + 1] = [record["step"]]
        lengths.append(length)
    kept, wanted, below = [], len(ends) - 1, math.inf
    for entry, length in zip(reversed(found), reversed(lengths), strict=True):
        if length == wanted and entry[1]["step"] <= below:
            kept.append(entry)
            wanted, below = wanted - 1, entry[1]["step"]
    return kept[::-1]
