"""Run: a run folder as Python sees it."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

from lilliput.base.deprecation import renamed, warn_renamed
from lilliput.generation.loading import load
from lilliput.generation.text_generator import TextGenerator
from lilliput.objectives.known import figure_of
from lilliput.runs.finding import find
from lilliput.runs.run_folder import RunFolder


class Run:
    """A finished or interrupted run folder, as `train` returns it."""

    def __init__(self, path: str | Path):
        self.folder = RunFolder(find(path))
        self.path = self.folder.path

    @property
    def summary(self) -> dict[str, Any]:
        """The content of summary.json; empty when the run has not ended. Raises CheckpointError where the file is
        damaged."""
        return self.folder.read_summary()

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl."""
        return self.folder.read_metrics()

    @property
    def checkpoints(self) -> list[Path]:
        """Finished checkpoints, oldest first."""
        return [self.folder.checkpoint(step) for step in self.folder.steps()]

    @cached_property
    def text_generator(self) -> TextGenerator:
        """The newest good checkpoint, ready to generate."""
        return load(self.path)

    def generate(self, opening: str | None = None, ending: str | None = None, **sampling: Any) -> str:
        """Generate one text from an opening, for a reversed model the text before an ending, or with `prefix=` and
        `suffix=` the text between them for a model that fills in the middle."""
        return self.text_generator.generate(opening, ending, **sampling)[0]

    tell = renamed("tell", "generate")

    @property
    def storyteller(self) -> TextGenerator:
        """Deprecated name of `text_generator`."""
        warn_renamed("Run.storyteller", "Run.text_generator")
        return self.text_generator

    def __repr__(self) -> str:
        summary = self.summary
        if not summary:
            return f"Run({str(self.path)!r}, not finished)"
        name = figure_of(summary).validation
        return f"Run({str(self.path)!r}, {name}={summary[name]:.3f})"
