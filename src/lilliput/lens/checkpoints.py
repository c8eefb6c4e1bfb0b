"""Checkpoints: the models of a run through time, as text generators."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from lilliput.base.errors import LilliputError
from lilliput.generation.loading import load_folder
from lilliput.generation.text_generator import TextGenerator
from lilliput.runs.run_folder import RunFolder


def earlier_steps(run: Path | None, most: int) -> list[int]:
    """Return the steps of at most `most` checkpoints of a run before its newest, evenly spread and with the first; none
    for a model without a run."""
    steps = [] if run is None else RunFolder(run).steps()[:-1]
    if len(steps) <= most:
        return steps
    return [steps[round(place * (len(steps) - 1) / (most - 1))] for place in range(most)] if most > 1 else steps[:most]


def newest_step(run: Path | None) -> int | None:
    """Return the step of the newest checkpoint; None without one."""
    steps = [] if run is None else RunFolder(run).steps()
    return steps[-1] if steps else None


def load_steps(
    run: Path, steps: list[int], device: str, notify: Callable[[str], None]
) -> Iterator[tuple[int, TextGenerator]]:
    """Yield the models of these checkpoints. A checkpoint that cannot be read is reported through `notify` and left
    out."""
    folder = RunFolder(run)
    for step in steps:
        try:
            generator = load_folder(folder.checkpoint(step) / "model", device, compile=False)
        except (LilliputError, OSError, ValueError) as error:
            notify(f"step {step:,} is left out: {error}")
            continue
        yield step, generator
