"""How far `lilliput plan RECIPE` is off: forecasts of several runs beside the runs themselves, on this machine.

Each case is forecast from a pilot and then trained, in a temporary folder; the error is predicted / actual - 1.

    python benchmarks/plan_error.py                       # four runs: some six minutes on 2 cores, alone
    python benchmarks/plan_error.py --steps 40 --json
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

from lilliput import api
from lilliput.api.planning import plan
from lilliput.base import machine
from lilliput.base.console import emit, say, use_json
from lilliput.cli.main import one_line_errors
from lilliput.plan.forecast import check
from lilliput.recipe import load

CASES: dict[str, tuple[str, ...]] = {
    "story": (),
    "story, batch 4,096": ("train.batch_tokens=4096",),
    "story_2m": ("model.style=story_2m",),
    "story_7m, AdamW": ("model.style=story_7m", "train.optimizer.kind=adamw"),
}
"""Overrides of the story recipe; nothing in them was fitted to these figures."""
MEASURES = ("seconds", "training_seconds", "tokens_per_second", "kwh")


def measure(name: str, overrides: tuple[str, ...], steps: int, pilot_seconds: float) -> dict[str, Any]:
    """One case: {measure: {predicted, actual, error}}."""
    changes = [*overrides, f"train.steps={steps}", "train.compile=false"]
    with tempfile.TemporaryDirectory(prefix="lilliput-plan-error-") as folder:
        recipe = load("story", changes, name="case")
        found = plan(recipe, seconds=pilot_seconds, runs=folder, say=quiet)
        run = api.train(recipe, runs=Path(folder), say=quiet, live=False)
        errors = check(found.forecast, run.summary)
    for key in MEASURES:
        pair = errors[key]
        say(f"{name:20} {key:18} {pair['predicted']:>10.4g} forecast {pair['actual']:>10.4g} run {pair['error']:+7.1%}")
    return errors


def quiet(text: str) -> None:
    """Only the figures are said."""


def main(arguments: list[str] | None = None) -> None:
    """Measure every case and tell the mean and the worst error of the run's seconds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=300, help="of every run")
    parser.add_argument("--pilot-seconds", type=float, default=4.0)
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    asked = parser.parse_args(arguments)
    use_json(asked.json)
    cases = {name: measure(name, CASES[name], asked.steps, asked.pilot_seconds) for name in asked.cases}
    errors = [case["seconds"]["error"] for case in cases.values()]
    result = {
        "cases": cases,
        "mean_absolute_error_of_seconds": sum(map(abs, errors)) / len(errors),
        "worst_error_of_seconds": max(errors, key=abs),
        "machine": {"cpu": machine.cpu_name(), "cores": machine.cores(), "load_average": os.getloadavg()[0]},
    }
    say(
        f"seconds: off by {result['mean_absolute_error_of_seconds']:.1%} on average, "
        f"{result['worst_error_of_seconds']:+.1%} at worst, over {len(errors)} runs"
    )
    if asked.json:
        emit(result)


if __name__ == "__main__":
    with one_line_errors():
        main()
