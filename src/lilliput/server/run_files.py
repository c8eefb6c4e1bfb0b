"""Files of a run as a server reads them: regular files alone, and a bounded part. A damaged file raises no exception.

A folder of runs may hold files that other programs, a full disk or an attacker left there. Reading it neither waits (a
FIFO), nor fills the memory (a huge file), nor fails for all runs because of one line.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lilliput.objectives.figure import Figure
from lilliput.objectives.known import figure_of
from lilliput.runs.run_folder import RunFolder
from lilliput.runs.samples_file import Section, parse_samples

METRICS_BYTES = 64 * 1024 * 1024
SAMPLES_BYTES = 4 * 1024 * 1024
HEADS_BYTES = 16 * 1024 * 1024
RECIPE_BYTES = 64 * 1024
SUMMARY_BYTES = 1024 * 1024
RECIPE_DEPTH = 20
NAME_LENGTH = 100
OPENING = (
    yaml.FlowSequenceStartToken,
    yaml.FlowMappingStartToken,
    yaml.BlockSequenceStartToken,
    yaml.BlockMappingStartToken,
)
CLOSING = (yaml.FlowSequenceEndToken, yaml.FlowMappingEndToken, yaml.BlockEndToken)
Records = Sequence[Mapping[str, Any]]


class Unread(Exception):
    """A run that exists and cannot be read; the message is the reason."""


@dataclass(frozen=True)
class RunFiles:
    """A run with its metrics, and the time of the last metrics in seconds since 1970."""

    run: RunFolder
    records: Records
    written: float


def read_run(path: Path) -> RunFiles | None:
    """Return the run in the folder `path`; None where there are no metrics (yet). Raises Unread where the file of
    metrics is no regular file, cannot be opened, or holds no whole line."""
    run = RunFolder(path)
    try:
        data, written = _read(run.metrics, METRICS_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Unread(f"metrics.jsonl: {error.strerror}") from None
    records = [record for line in data.splitlines() if (record := _record(line)) is not None]
    if data.strip() and not records:
        raise Unread("metrics.jsonl holds no line of metrics")
    return RunFiles(run, records, written) if records else None


def read_samples(run: RunFolder) -> Section | None:
    """Return the newest samples of a run; None where no samples can be read."""
    try:
        data, _ = _read(run.samples, SAMPLES_BYTES)
        sections = parse_samples(data.decode("utf-8", errors="replace"))
    except (OSError, ValueError):  # ValueError: a step of five thousand digits
        return None
    return sections[-1] if sections else None


def read_heads(run: RunFolder) -> Records:
    """Return the scores of a run's attention heads (see lens/watching.py); empty where none can be read."""
    try:
        data, _ = _read(run.heads, HEADS_BYTES)
    except OSError:
        return []
    return [record for line in data.splitlines() if (record := _record(line)) is not None]


def read_budget(run: RunFolder) -> Mapping[str, Any]:
    """Return the section `train` of a run's recipe; empty where it cannot be read."""
    budget = _recipe(run).get("train")
    return budget if isinstance(budget, dict) else {}


def read_figure(run: RunFolder) -> Figure:
    """Return the figure by which a run is judged, from its summary, else from its recipe; bits per byte where neither
    can be read."""
    try:
        data, _ = _read(run.summary, SUMMARY_BYTES)
        kept = (_record(data) or {}).get("figure")
    except OSError:
        kept = None
    if isinstance(kept, dict) and all(_is_name(text) for text in (*kept, *kept.values())):
        return figure_of({"figure": kept})
    return figure_of({"objective": _recipe(run).get("objective")})


def _is_name(text: Any) -> bool:
    """Whether a value of a damaged or hostile file can be sent and shown as a name."""
    return isinstance(text, str) and len(text) <= NAME_LENGTH and text.isprintable()


def _recipe(run: RunFolder) -> Mapping[str, Any]:
    """Return a run's recipe; empty where it cannot be read."""
    try:
        data, _ = _read(run.recipe, RECIPE_BYTES)
        text = data.decode("utf-8")
        recipe = yaml.safe_load(text) if _is_plain(text) else None
    except (OSError, ValueError, AttributeError, yaml.YAMLError):
        return {}
    return recipe if isinstance(recipe, dict) else {}


def _is_plain(text: str) -> bool:
    """Whether YAML is as flat as a recipe that Lilliput wrote, and without aliases. A few aliases can stand for more
    values than memory holds, and the time for nested brackets grows with the square of their number."""
    depth = 0
    for token in yaml.scan(text, yaml.SafeLoader):
        if isinstance(token, yaml.AliasToken):
            return False
        depth += isinstance(token, OPENING) - isinstance(token, CLOSING)
        if depth > RECIPE_DEPTH:
            return False
    return True


def _read(path: Path, limit: int) -> tuple[bytes, float]:
    """Return the last `limit` bytes of a regular file, and the time when it was last written. A part of a file begins
    at the beginning of a line. Raises OSError."""
    # Without O_NONBLOCK the opening of a FIFO waits for a writer; Windows has neither.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with open(descriptor, "rb") as file:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode):
            raise OSError(0, "not a regular file")
        start = max(0, about.st_size - limit)
        file.seek(start)
        if start:
            file.readline(limit)
        return file.read(limit), about.st_mtime


def _record(line: bytes) -> Mapping[str, Any] | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):  # ValueError: no JSON, no UTF-8, a number of five thousand digits
        return None
    return record if isinstance(record, dict) else None
