"""The band of losses of a shipped recipe: the least and the greatest figure of its finished runs at each point.

Figures are interpolated by training tokens, at 20 equal shares of the budget. Runs of another recipe, of another text
and of the same seed are refused. A key that decides no loss may differ, such as train.threads (runs/bands.py has the
list). The file is packaged beside the recipe, and later runs by the recipe are compared with it.

    for seed in 1 2 3 4 5; do lilliput train story seed=$seed --name story-$seed; done
    python benchmarks/bands.py story story-1 story-2 story-3 story-4 story-5
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lilliput.assembly.recipe import Recipe, load
from lilliput.assembly.usual import MODELS, texts, values_of
from lilliput.base.config import validate
from lilliput.base.console import emit, number, print_line, use_json
from lilliput.base.differences import differing
from lilliput.base.errors import CheckpointError, ConfigError
from lilliput.base.files import write_text
from lilliput.base.reading import inner, read_object
from lilliput.base.shipped import BANDS, shipped
from lilliput.cli.main import one_line_errors
from lilliput.runs.bands import Bands, Values, between, format_bands, hash_of
from lilliput.runs.finding import find
from lilliput.runs.run_folder import RunFolder
from lilliput.training.outcome import FINISHED

POINTS = 20
Curve = list[tuple[float, float]]


@dataclass(frozen=True)
class Measured:
    """What one run adds: (tokens, figure) of both curves, its end in tokens, what computed it, and the values that
    decided its losses."""

    seed: int
    values: Values
    training: Curve
    validation: Curve
    tokens: int
    versions: dict[str, Any]


def measured(recipe: str, path: str, unfinished: bool = False) -> Measured:
    """Read a run. Raises ConfigError for a run of another recipe or text, and CheckpointError for a run that has not
    ended, unless `unfinished`."""
    run = RunFolder(find(path))
    own = load(run.recipe)
    wanted = load(recipe, origin(own))
    here, there = values_of(own), values_of(wanted)
    if here != there:
        differences = differing(here, there, words="{} in the run, {} in the recipe")
        raise ConfigError(f"{run.path} is a run of another recipe than {recipe} ({differences})")
    if own.train.seconds != wanted.train.seconds:
        raise ConfigError(f"{run.path} has another clock than {recipe}: train.seconds is {own.train.seconds}")
    summary = run.read_summary()
    if not summary and not unfinished:
        raise CheckpointError(f"{run.path} has not ended", f"go on with it: lilliput train {run.recipe}")
    if summary.get("stopped", FINISHED.text) != FINISHED.text:
        raise CheckpointError(f"{run.path} ended before its budget: {summary['stopped']}")
    if summary:
        found = tuple(source.get("fingerprint") for source in inner(summary, "data").get("sources", ()))
        if found != texts(wanted):
            raise ConfigError(f"{run.path} read another text than {recipe} has now: train it again")
    figure = own.objective.figure
    training, validation = (curve_of(run.read_metrics(), key) for key in (figure.training, figure.validation))
    if min(len(training), len(validation)) < 2:
        raise CheckpointError(f"{run.path} has no curve: fewer than two lines with {figure.validation}")
    versions = {**read_object(run.settings), "device": summary.get("device")}
    return Measured(own.seed, here, training, validation, int(min(training[-1][0], validation[-1][0])), versions)


def origin(own: Recipe) -> list[str]:
    """The overrides that give a recipe the models that a run of it began with, or learned from."""
    named = {key: getattr(own.objective, key, None) for key in MODELS}
    given = {"init.from": own.init.from_, **{f"objective.{key}": value for key, value in named.items()}}
    return [f"{key}={value}" for key, value in given.items() if value is not None]


def curve_of(lines: Sequence[dict[str, Any]], key: str) -> Curve:
    """(tokens, figure) of the lines that have it."""
    return [(line["tokens"], line[key]) for line in lines if line.get(key) is not None and "tokens" in line]


def bands_of(recipe: str, runs: Sequence[Measured], budget: int | None = None) -> Bands:
    """The band of these runs. `budget` is the tokens of the whole budget, for runs that have not ended; points beyond
    their last tokens are left out. Raises ConfigError for fewer than two runs, and for a seed that comes twice."""
    if len(runs) < 2:
        raise ConfigError("a band needs two runs at least, of different seeds")
    seeds = [run.seed for run in runs]
    if len(set(seeds)) < len(seeds):
        raise ConfigError(f"a seed counts once, and the runs have {', '.join(map(str, seeds))}")
    end = min(run.tokens for run in runs)
    shares = (share / POINTS for share in range(1, POINTS + 1))
    points = [point(runs, share, int(share * (budget or end))) for share in shares if share * (budget or end) <= end]
    whole = load(recipe)
    values = runs[0].values
    if any(run.values != values for run in runs):
        raise ConfigError("the runs began with models of different lineage", "begin all of them with one recipe's runs")
    figure = whole.objective.figure
    return validate(
        Bands,
        {
            "name": recipe,
            "recipe": values,
            "recipe_sha256": hash_of(values),
            "texts": texts(whole),
            "seeds": seeds,
            "training": figure.training,
            "validation": figure.validation,
            "versions": {key: _common([run.versions.get(key) for run in runs]) for key in runs[0].versions},
            "points": points,
        },
        f"the runs of {recipe}",
    )


def point(runs: Sequence[Measured], progress: float, tokens: int) -> dict[str, Any]:
    """The least and greatest figures after so many tokens, those of validation only where every run evaluated within
    half a point of it: the line between two evaluations far apart is no measurement."""
    near = tokens / progress / POINTS / 2
    evaluated = all(any(abs(place - tokens) <= near for place, _ in run.validation) for run in runs)
    training = _range([between(run.training, tokens) for run in runs])
    validation = _range([between(run.validation, tokens) for run in runs]) if evaluated else None
    return {"progress": progress, "tokens": tokens, "training": training, "validation": validation}


def _range(values: Sequence[float]) -> tuple[float, float]:
    """Least and greatest, with five significant decimals: what differs beyond them is no difference between runs."""
    return round(min(values), 5), round(max(values), 5)


def _common(values: Sequence[Any]) -> Any:
    return values[0] if all(value == values[0] for value in values) else list(values)


def whole_budget(recipe: str, run: str) -> int:
    """Tokens of the whole budget of a run that has not ended. Raises ConfigError for a recipe that does not end by
    steps, whose budget cannot be known before."""
    steps = load(recipe).train.steps
    last = RunFolder(find(run)).read_metrics()[-1]
    if steps is None or not last["step"]:
        raise ConfigError(f"{recipe} does not end by steps: let its runs end")
    return steps * last["tokens"] // last["step"]


def main(arguments: list[str] | None = None) -> None:
    """Write the file of bands from runs, and print its ends."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", help="a shipped recipe's name")
    parser.add_argument("runs", nargs="+", help="its runs, of different seeds")
    parser.add_argument("--out", type=Path, help="the file; default: beside the shipped recipe")
    parser.add_argument(
        "--unfinished", action="store_true", help="take runs that have not ended too, for the part that they have done"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    asked = parser.parse_intermixed_args(arguments)
    use_json(asked.json)
    if asked.recipe not in shipped():
        raise ConfigError(f"'{asked.recipe}' is no shipped recipe", f"shipped recipes: {', '.join(shipped())}")
    runs = [measured(asked.recipe, run, asked.unfinished) for run in asked.runs]
    bands = bands_of(asked.recipe, runs, whole_budget(asked.recipe, asked.runs[0]) if asked.unfinished else None)
    path = asked.out or shipped()[asked.recipe].with_name(asked.recipe + BANDS)
    write_text(path, format_bands(bands))
    last = bands.points[-1]
    if asked.json:
        emit({"path": path, "runs": bands.runs, "points": len(bands.points), "last": last.model_dump(mode="json")})
        return
    low, high = last.training
    print_line(f"{path}: {bands.runs} runs, {len(bands.points)} points up to {number(last.tokens)} tokens")
    print_line(f"{bands.training} {low:.3f} to {high:.3f} at {last.progress:.0%} of the budget")


if __name__ == "__main__":
    with one_line_errors():
        main()
