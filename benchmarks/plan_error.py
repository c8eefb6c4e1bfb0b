"""The error of `lilliput plan RECIPE`: forecasts of several runs beside the runs themselves, on this machine.

Each case is forecast from a pilot and then trained, in a temporary folder; the error is predicted / actual - 1.

    python benchmarks/plan_error.py                       # four runs: some six minutes on 2 cores, alone
    python benchmarks/plan_error.py --steps 40 --json
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from lilliput import api
from lilliput.assembly.recipe import load
from lilliput.base import machine
from lilliput.base.console import console, emit, print_line, use_json
from lilliput.cli.main import one_line_errors
from lilliput.planning.forecast import check
from lilliput.planning.planning import plan
from lilliput.training.callbacks import Callback

if TYPE_CHECKING:
    from lilliput.training.trainer import Trainer

CASES: dict[str, tuple[str, ...]] = {
    "story": (),
    "story, evaluated often": ("evaluate.steps=15",),
    "story_2m": ("model.style=story_2m", "train.batch_tokens=4096"),
    "story_7m, AdamW": ("model.style=story_7m", "train.optimizer.kind=adamw"),
}
"""Overrides of the story recipe; nothing in them was fitted to these figures."""
MEASURES = ("whole", "seconds", "training_seconds", "ending_seconds", "tokens_per_second")


class Ending(Callback):
    """Notes when the last step and its checkpoint were over."""

    began = 0.0

    def on_end(self, trainer: Trainer) -> None:
        self.began = time.perf_counter()


def measure(name: str, overrides: tuple[str, ...], steps: int, pilot_seconds: float) -> dict[str, Any]:
    """One case: {measure: {predicted, actual, error}}; `whole` is `seconds` and what follows the last step."""
    changes = [*overrides, f"train.steps={steps}", "train.compile=false"]
    with tempfile.TemporaryDirectory(prefix="lilliput-plan-error-") as folder:
        recipe, ending = load("story", changes, name="case"), Ending()
        found = plan(recipe, seconds=pilot_seconds, runs=folder, notify=quiet)
        run = api.train(recipe, runs=Path(folder), callbacks=[ending], notify=quiet, live=False)
        ended = time.perf_counter() - ending.began
        cast, summary = found.forecast, run.summary  # read while the folder is there
    errors = check(cast, summary)
    errors["ending_seconds"] = _pair(cast.ending_seconds, ended)
    errors["whole"] = _pair(cast.seconds + cast.ending_seconds, summary["seconds"] + ended)
    print_line(f"{name}: {errors['whole']['error']:+.1%}, from a pilot of {cast.pilot.seconds:.1f} s")
    return {**{key: errors[key] for key in MEASURES}, "pilot_seconds": cast.pilot.seconds}


def _pair(predicted: float, actual: float) -> dict[str, float]:
    return {"predicted": predicted, "actual": actual, "error": predicted / actual - 1}


def table(cases: dict[str, dict[str, Any]]) -> Table:
    """Return a row for each case: the forecast, the measured time, and the error."""
    shown = Table(title="Seconds of whole runs: forecast, taken, error")
    for column in ("recipe", "pilot", "forecast", "taken", "error", "between evaluations", "with them", "the end"):
        shown.add_column(column, justify="left" if column == "recipe" else "right")
    for name, case in cases.items():
        whole = case["whole"]
        parts = (f"{case[key]['error']:+.1%}" for key in ("training_seconds", "seconds", "ending_seconds"))
        numbers = (f"{value:.1f}" for value in (case["pilot_seconds"], whole["predicted"], whole["actual"]))
        shown.add_row(name, *numbers, f"{whole['error']:+.1%}", *parts)
    return shown


def quiet(text: str) -> None:
    """Print nothing but the figures."""


def main(arguments: list[str] | None = None) -> None:
    """Measure every case and print the table of errors."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=300, help="of every run")
    parser.add_argument("--pilot-seconds", type=float, default=3.0)
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    asked = parser.parse_args(arguments)
    use_json(asked.json)
    cases = {name: measure(name, CASES[name], asked.steps, asked.pilot_seconds) for name in asked.cases}
    errors = [case["whole"]["error"] for case in cases.values()]
    result = {
        "cases": cases,
        "mean_absolute_error": sum(map(abs, errors)) / len(errors),
        "worst_error": max(errors, key=abs),
        "machine": {"cpu": machine.cpu_name(), "cores": machine.cores(), "load_average": os.getloadavg()[0]},
    }
    if not asked.json:
        console.print(table(cases))
    print_line(
        f"off by {result['mean_absolute_error']:.1%} on average, {result['worst_error']:+.1%} at worst, over "
        f"{len(errors)} runs; the machine's load was {result['machine']['load_average']:.1f}"
    )
    if asked.json:
        emit(result)


if __name__ == "__main__":
    with one_line_errors():
        main()
