"""The share of a training run that is not training: waiting for batches, metrics, the terminal view, other callbacks.

Runs the real trainer on the story recipe, unchanged; methods of its parts are timed from outside.

    python benchmarks/overhead.py --steps 400
    python benchmarks/overhead.py --steps 400 evaluate.watch=null   # with the heads watched
    python benchmarks/overhead.py --steps 20 train.threads=1 data.sources.0.stories=300 --json
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table

from lilliput.base.console import console, emit, print_line, use_json
from lilliput.base.runtime import start
from lilliput.cli.main import one_line_errors

if TYPE_CHECKING:
    from lilliput.training.trainer import Trainer

GOAL = 0.01
"""Each part is to take less than this share of a step's time."""
GOALS = {"watched heads": 0.02}
"""The parts with a goal of their own. `evaluate.watch=null` among the overrides watches the heads."""
NAMED = {"Metrics": "metrics", "LiveRun": "terminal", "Evaluation": "evaluation", "Watch": "watched heads"}
JUDGED = ("waiting for batches", "metrics", "terminal", "watched heads", "other callbacks", "rest")
# Evaluation and samples are requested work and no overhead, so they are off, except for the evaluation at the end.
PLAIN = (
    "evaluate.samples=0",
    "evaluate.steps=1000000000",
    "train.checkpoint_steps=1000000000",
    "evaluate.baselines=[]",
)


class Clock:
    """Seconds and calls by part."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.calls: dict[str, int] = defaultdict(int)

    def timing(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, its time added to `part`."""

        def timed(*arguments: Any, **named: Any) -> Any:
            began = time.perf_counter()
            try:
                return function(*arguments, **named)
            finally:
                self.seconds[part] += time.perf_counter() - began
                self.calls[part] += 1

        return timed


@contextmanager
def watched(trainer: Trainer, clock: Clock) -> Iterator[None]:
    """Times the trainer's parts while it trains: the whole step with its callbacks, the update, the wait for a batch,
    making one (which happens beside the step, in another thread), and every callback."""
    for name, part in (("_one_step", "step"), ("update", "update"), ("_make_batch", "making batches")):
        setattr(trainer, name, clock.timing(part, getattr(trainer, name)))
    for callback in trainer.callbacks:
        name = type(callback).__name__
        setattr(callback, "on_step", clock.timing(NAMED.get(name, "other callbacks"), callback.on_step))  # noqa: B010
    waiting = Future.result
    # The trainer waits for nothing but batches while it steps.
    Future.result = clock.timing("waiting for batches", waiting)
    try:
        yield
    finally:
        Future.result = waiting


def shares(clock: Clock) -> dict[str, Any]:
    """Figures by part: milliseconds a step, share of the step, and whether it is under the goal. `rest` is the
    trainer's own accounting. Evaluation is no part of the step here. Making batches overlaps the step, so its time is
    printed and not judged. The wait for batches is judged."""
    whole, steps = clock.seconds["step"] - clock.seconds["evaluation"], clock.calls["step"]
    parts = {
        part: clock.seconds[part] for part in ("update", *JUDGED) if part != "watched heads" or clock.seconds[part]
    }
    parts["rest"] = whole - sum(parts.values())
    return {
        "steps": steps,
        "step_milliseconds": 1e3 * whole / steps,
        "goal": GOAL,
        "parts": {
            part: {
                "milliseconds": 1e3 * seconds / steps,
                "share": seconds / whole,
                "met": seconds / whole < GOALS.get(part, GOAL) if part in JUDGED else None,
            }
            for part, seconds in parts.items()
        },
        "making_batches_milliseconds": 1e3 * clock.seconds["making batches"] / clock.calls["making batches"],
    }


def measure(overrides: list[str], recipe: str, steps: int) -> dict[str, Any]:
    """Train `steps` steps into a temporary folder and take the shares."""
    # PyTorch is imported by these: not before the runtime was applied
    from lilliput.assembly.assembly import Assembly
    from lilliput.assembly.recipe import load
    from lilliput.runs.run_folder import RunFolder

    words = [*overrides, *PLAIN, f"train.steps={steps}"]
    with tempfile.TemporaryDirectory() as place:
        run = RunFolder(Path(place) / "run")
        run.path.mkdir()
        assembly = Assembly(load(recipe, words), run, print_line)
        trainer = assembly.trainer(None)
        clock = Clock()
        with watched(trainer, clock):
            trainer.train()
    return shares(clock) | {"recipe": recipe, "overrides": overrides, "terminal": console.is_terminal}


def table(figures: dict[str, Any]) -> Table:
    """The shares for people."""
    title = f"{figures['steps']:,} steps of {figures['step_milliseconds']:.1f} ms"
    made = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for heading in ("", "ms a step", "share", "goal met"):
        made.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    for part, row in figures["parts"].items():
        verdict = "" if row["met"] is None else "yes" if row["met"] else "no"
        made.add_row(part, f"{row['milliseconds']:.3f}", f"{row['share']:.2%}", verdict)
    return made


def main(arguments: list[str] | None = None) -> None:
    """Measure the shares, and print them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("overrides", nargs="*", metavar="section.key=value", help="laid over the recipe")
    parser.add_argument("--recipe", default="story")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--json", action="store_true", help="print one JSON object; all other words on standard error")
    asked = parser.parse_args(arguments)
    if asked.steps < 1:
        parser.error(f"--steps has to be above 0, and is {asked.steps}")
    use_json(asked.json)
    figures = measure(asked.overrides, asked.recipe, asked.steps)
    if asked.json:
        emit(figures)
        return
    console.print(table(figures))
    print_line(f"making a batch takes {figures['making_batches_milliseconds']:.2f} ms in another thread, beside a step")
    print_line(
        "the view was drawn" + (" on a terminal" if figures["terminal"] else " as plain lines: run it in a terminal")
    )


if __name__ == "__main__":
    with one_line_errors():
        start.restart()
        start.begin(trains=True)
        main()
