"""RunFolder: the layout of runs/<name> on disk, its metrics, and the lock that keeps a second trainer out."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from lilliput.base.disk import append_text
from lilliput.base.errors import CheckpointError
from lilliput.base.files import write_text
from lilliput.train.samples_file import format_samples, parse_samples

STEP = re.compile(r"^step-(\d{7,})$")


class RunFolder:
    """Paths and small files of one run. Nothing is created until something is written."""

    def __init__(self, path: Path):
        self.path = path
        self.recipe = path / "recipe.yaml"
        self.metrics = path / "metrics.jsonl"
        self.summary = path / "summary.json"
        self.samples = path / "samples.md"
        self.report = path / "report.html"
        self.evaluation = path / "evaluation.json"
        self.checkpoints = path / "checkpoints"

    def steps(self) -> list[int]:
        """Step numbers of the checkpoints that were finished, rising."""
        if not self.checkpoints.is_dir():
            return []
        return sorted(int(m[1]) for entry in self.checkpoints.iterdir() if (m := STEP.match(entry.name)))

    def checkpoint(self, step: int) -> Path:
        return self.checkpoints / f"step-{step:07d}"

    def append_metrics(self, record: Mapping[str, Any]) -> None:
        """One line; flushed, so that a killed run keeps it. Raises DiskError where there is no room."""
        append_text(self.metrics, json.dumps(record) + "\n")

    def read_metrics(self) -> list[dict[str, Any]]:
        """Every whole line; a line cut short by a kill ends the list."""
        records: list[dict[str, Any]] = []
        if not self.metrics.exists():
            return records
        for line in self.metrics.read_text(encoding="utf-8").splitlines():
            try:
                records.append(json.loads(line))
            except json.JSONDecodeError:
                break
        return records

    def rewind(self, step: int) -> None:
        """Forget metrics and samples written after `step`: a resumed run writes them again."""
        kept = [record for record in self.read_metrics() if record["step"] <= step]
        if self.metrics.exists():
            write_text(self.metrics, "".join(json.dumps(record) + "\n" for record in kept))
        if self.samples.exists():
            sections = [s for s in parse_samples(self.samples.read_text(encoding="utf-8")) if s.step <= step]
            write_text(self.samples, "".join(map(format_samples, sections)))

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
            pid = owner.read_text() if owner.exists() else "unknown"
            raise CheckpointError(
                f"{self.path} is being trained by another process (pid {pid})",
                "wait for it, or train under another name: --name NEW",
            ) from None
