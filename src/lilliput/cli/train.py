"""`lilliput train RECIPE`: grow a model, then tell what came out."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lilliput.cli.texts import Data, sort_words

if TYPE_CHECKING:
    from lilliput.api import Run

INTERRUPTED = 130
OPTIONS = ("--data", "--name", "--verbose", "--json", "--help")


def train(
    recipe: Annotated[str, typer.Argument(help="A shipped recipe's name (lilliput recipe list) or a YAML file.")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            help="section.key=value, such as train.steps=500; size=5m or budget=30m set all that follow from it."
        ),
    ] = None,
    data: Data = None,
    name: Annotated[str | None, typer.Option(help="The run's name: runs/NAME.")] = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="Print what computes the run as well.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the summary as one JSON object.")] = False,
) -> None:
    """Train a model by a recipe. The same command again goes on with an interrupted run."""
    from lilliput import api
    from lilliput.assembly.recipe import load
    from lilliput.base import console, foreign

    console.use_json(json)
    foreign.refuse(overrides or [], OPTIONS, lambda: load(recipe).model.context_length)
    assignments, paths = sort_words(overrides, data)
    run = api.train(recipe, assignments, data=paths, name=name, verbose=verbose)
    if not run.summary:
        if json:
            console.emit({"run": run.path, "finished": False})
        raise typer.Exit(INTERRUPTED)
    if json:
        console.emit({"run": run.path, "finished": True, **run.summary})
    else:
        tell_what_came_out(run)


def tell_what_came_out(run: Run) -> None:
    """The story, the loss beside its baselines, speed and cost, where the report is, and what to try next."""
    from lilliput.base import console

    summary, path = run.summary, run.path
    if "story" in summary:
        console.say()
        console.say(summary["story"]["text"].strip())
    console.say()
    console.say(f"validation  {_against(summary)}")
    if (kept := summary.get("val_hero_kept")) is not None:
        console.say(f"heroes      {kept:.0%} of {summary['val_heroes']} stories keep their hero")
    console.say(f"speed       {_speed(summary)}")
    console.say(f"cost        {_cost(summary['cost'])}")
    console.say(f"verdict     {summary['verdict']}")
    console.say(f"report      {console.typed(run.folder.report)}")
    console.say()
    console.say("next:")
    for command in _next(path, summary):
        console.say(f"  {command}")


def _against(summary: dict[str, Any]) -> str:
    from lilliput.objectives.known import figure_of
    from lilliput.objectives.objective import BITS

    figure = figure_of(summary["objective"])
    if figure != BITS:
        return f"{summary[figure.validation]:.3f} {figure.unit}"
    others = ", ".join(f"{name} {bits:.3f}" for name, bits in summary["baselines"].items())
    return f"{summary['val_bits_per_byte']:.3f} bits per byte" + (f" ({others} on the same tokens)" if others else "")


def _speed(summary: dict[str, Any]) -> str:
    from lilliput.base.console import duration, number

    return (
        f"{summary['tokens_per_second']:,.0f} tokens/s, {summary['utilisation']:.0%} of the machine's matmul peak; "
        f"{number(summary['tokens'])} tokens in {duration(summary['seconds'])}, "
        f"{number(summary['parameters'])} parameters"
    )


def _cost(cost: dict[str, Any]) -> str:
    dollars = "" if cost["dollars"] is None else f", {cost['dollars']:.4f} dollars"
    return f"{cost['kwh'] * 1000:.2g} Wh, {cost['co2_grams']:.2g} g CO2{dollars} ({cost['basis']})"


def _next(path: Path, summary: dict[str, Any]) -> list[str]:
    """Commands that run as they are printed, in this shell and for this run."""
    from lilliput.base import console
    from lilliput.objectives.known import objective_of

    lilliput, run = console.command(), console.typed(path)
    if "story" not in summary:
        return [f"{lilliput} report {run}"]
    prompt, objective = shlex.quote(summary["story"]["prompt"]), objective_of(summary["objective"])
    side = "" if objective is None or objective.reads_forwards else "--ending "
    given = f" {side}{prompt}" if summary["story"]["prompt"] else ""
    return [
        f"{lilliput} generate {run}{given}",
        f"{lilliput} generate {run}{given} --explain",
        f"{lilliput} tokenizer show {prompt} --tokenizer {run}",
        f"{lilliput} report {run}",
    ]
