"""RunFolder: the layout of runs/<name> on disk, its metrics, and the lock that keeps a second trainer out."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from lilliput.base.damage import keep_copy, read_kept
from lilliput.base.disk import append_text
from lilliput.base.errors import CheckpointError
from lilliput.base.files import write_text
from lilliput.base.reading import read_bytes
from lilliput.runs import metrics_file, names
from lilliput.runs.samples_file import Section, parse_samples, rewound

LARGEST_METRICS = 2**32
"""Bytes of metrics.jsonl: ten million lines."""
STEP = re.compile(r"^step-(\d{7,18})$")
DAMAGED = re.compile(r"^step-(\d{7,18})\.damaged\d*$")


class RunFolder:
    """Paths and small files of one run. Nothing is created until something is written."""

    def __init__(self, path: Path):
        self.path = path
        self.recipe = path / names.RECIPE
        self.settings = path / names.SETTINGS
        self.metrics = path / names.METRICS
        self.summary = path / names.SUMMARY
        self.samples = path / names.SAMPLES
        self.rollouts = path / names.ROLLOUTS
        self.heads = path / names.HEADS
        self.report = path / names.REPORT
        self.evaluation = path / names.EVALUATION
        self.lens = path / names.LENS
        self.lens_figures = path / names.LENS_FIGURES
        self.checkpoints = path / names.CHECKPOINTS

    def steps(self) -> list[int]:
        """Step numbers of the checkpoints that were finished, rising."""
        if not self.checkpoints.is_dir():
            return []
        entries = self.checkpoints.iterdir()
        return sorted(int(m[1]) for entry in entries if (m := STEP.match(entry.name)) and entry.is_dir())

    def checkpoint(self, step: int) -> Path:
        return self.checkpoints / f"step-{step:07d}"

    def append_metrics(self, record: Mapping[str, Any]) -> None:
        """Write one line, and flush it, so that a killed run keeps it. Raises DiskError where there is no room."""
        append_text(self.metrics, json.dumps(record) + "\n")

    def append_rollouts(self, step: int, rollouts: Sequence[Mapping[str, Any]]) -> None:
        """Write a line for each rollout of a step. Raises DiskError where there is no room."""
        append_text(self.rollouts, "".join(json.dumps({"step": step, **rollout}) + "\n" for rollout in rollouts))

    def read_rollouts(self) -> list[dict[str, Any]]:
        """Every usable line of rollouts.jsonl."""
        if not self.rollouts.exists():
            return []
        return metrics_file.parse_metrics(read_bytes(self.rollouts, LARGEST_METRICS))[0]

    def append_heads(self, look: Mapping[str, Any]) -> None:
        """Write a line with the scores of the attention heads. Raises DiskError where there is no room."""
        append_text(self.heads, json.dumps(look, separators=(",", ":")) + "\n")

    def read_heads(self) -> list[dict[str, Any]]:
        """Every usable line of heads.jsonl."""
        if not self.heads.exists():
            return []
        return metrics_file.parse_metrics(read_bytes(self.heads, LARGEST_METRICS))[0]

    def read_metrics(self) -> list[dict[str, Any]]:
        """Every usable line. A line that a kill cut short is left out, and so are the lines of `damaged_metrics`."""
        return self._metrics()[0]

    def damaged_metrics(self) -> list[int]:
        """The numbers, from 1, of the lines that are damaged."""
        return self._metrics()[1]

    def _metrics(self) -> tuple[list[dict[str, Any]], list[int]]:
        if not self.metrics.exists():
            return [], []
        return metrics_file.parse_metrics(read_bytes(self.metrics, LARGEST_METRICS))

    def read_samples(self) -> list[Section]:
        """The sections of samples.md, as far as they can be read."""
        return parse_samples(read_bytes(self.samples).decode("utf-8", "replace")) if self.samples.exists() else []

    def read_summary(self) -> dict[str, Any]:
        """summary.json; empty where the run has not ended. Raises CheckpointError where it is damaged."""
        if not self.summary.exists():
            return {}
        try:
            summary = read_kept(self.summary)
            if not summary:
                raise ValueError("it is empty")
            return summary
        except (OSError, ValueError) as error:
            again = f"the same training command writes it again: lilliput train {self.recipe}"
            raise CheckpointError(f"{self.summary} is damaged: {error}", again) from None

    def rewind(self, step: int, notify: Callable[[str], None] = lambda text: None) -> None:
        """Remove metrics, rollouts, head scores and samples written after `step`, because a resumed run writes them
        again. A copy is kept of a damaged file, and of a file whose later part will differ because checkpoints were
        damaged. Both are reported through `notify`."""
        if self.metrics.exists():
            content = self.metrics.read_bytes()
            kept, damaged = metrics_file.rewound(content, step)
            what = f"line {', '.join(map(str, damaged[:6]))}{' ...' * (len(damaged) > 6)}" if damaged else None
            self._rewrite(self.metrics, content, kept.decode(), step, what, notify)
        for path in (self.rollouts, self.heads):
            if path.exists():
                content = path.read_bytes()
                kept, damaged = metrics_file.rewound(content, step)
                self._rewrite(path, content, kept.decode(), step, "a line" if damaged else None, notify)
        if self.samples.exists():
            content = self.samples.read_bytes()
            kept, whole = rewound(content.decode("utf-8", "replace"), step)
            whole = whole and content.startswith(kept.encode())
            self._rewrite(self.samples, content, kept, step, None if whole else "a part", notify)

    def _rewrite(
        self, path: Path, content: bytes, kept: str, step: int, damaged: str | None, notify: Callable[[str], None]
    ) -> None:
        if content == kept.encode():
            return
        if damaged:
            notify(f"{path}: {damaged} is damaged and left out; the file as it was is kept as {keep_copy(path).name}")
        elif self._damaged_beyond(step):
            notify(f"{path} goes back to step {max(step, 0):,}; the file as it was is kept as {keep_copy(path).name}")
        write_text(path, kept)

    def _damaged_beyond(self, step: int) -> bool:
        """Whether a checkpoint after `step` was moved aside."""
        aside = self.checkpoints.glob("step-*.damaged*") if self.checkpoints.is_dir() else ()
        return any((found := DAMAGED.match(entry.name)) and int(found[1]) > step for entry in aside)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the run against a second trainer. Raises CheckpointError when another process has it."""
        self.path.mkdir(parents=True, exist_ok=True)
        owner = self.path / ".pid"
        try:
            with FileLock(self.path / ".lock", timeout=0):
                owner.write_text(str(os.getpid()))
                yield
        except Timeout:
            pid = owner.read_text(errors="replace") if owner.exists() else "unknown"
            raise CheckpointError(
                f"{self.path} is being trained by another process (pid {pid})",
                "wait for it, or train under another name: --name NEW",
            ) from None
