"""compare: several runs read from disk, set side by side and written as a page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lilliput.lab.compare_page import write_page
from lilliput.lab.comparison import Comparison
from lilliput.runs.finding import find


def compare(
    runs: Sequence[str | Path], output: str | Path | None = None, *, levels: Sequence[float] = ()
) -> Comparison:
    """Compare two or more runs, given by name or folder, finished or not: loss against tokens, FLOPs and time, speed,
    samples; seeds of one recipe together. `output` is the offline page to write, if any; `levels` are values of the
    runs' figure (bits per byte of models of text) whose first reaching is looked for. Raises ConfigError for fewer than
    two different runs and for runs of different figures, CheckpointError where one is missing or none has been
    evaluated."""
    comparison = Comparison([find(run) for run in runs], levels)
    if output is not None:
        write_page(comparison, Path(output))
    return comparison
