"""`lilliput train RECIPE`: train a model, then print its results."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lilliput.cli.texts import Data, sort_words
from lilliput.runs.names import (
    OLD_DOMAIN,
    TOKENS_PER_SECOND,
    VAL_BITS_PER_BYTE,
    VAL_HERO_KEPT,
    VAL_HEROES,
    VAL_MIDDLE_AFTER,
    VAL_MIDDLE_BITS,
    VAL_MIDDLE_WORDS,
)

if TYPE_CHECKING:
    from lilliput.api import Run

INTERRUPTED = 130
LAST_WORDS = 3
"""Words at the end of the printed story that the next command gives as a suffix."""
OPTIONS = ("--data", "--from", "--name", "--verbose", "--json", "--help")


def train(
    recipe: Annotated[str, typer.Argument(help="A shipped recipe's name (lilliput recipe list) or a YAML file.")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            help="section.key=value, such as train.steps=500; size=5m or budget=30m set all values that depend on it."
        ),
    ] = None,
    data: Data = None,
    begin: Annotated[
        str | None,
        typer.Option("--from", help="Begin with the weights of this run, checkpoint or Hugging Face folder."),
    ] = None,
    name: Annotated[str | None, typer.Option(help="The run's name: runs/NAME.")] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Also print the kernels, threads and libraries used.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the summary as one JSON object.")] = False,
) -> None:
    """Train a model by a recipe. Repeat the command to resume an interrupted run."""
    from lilliput import api
    from lilliput.assembly.recipe import load
    from lilliput.base import console, foreign

    console.use_json(json)
    foreign.refuse(overrides or [], OPTIONS, lambda: load(recipe).model.context_length)
    assignments, paths = sort_words(overrides, data)
    run = api.train(recipe, assignments, data=paths, name=name, from_=begin, verbose=verbose)
    if not run.summary:
        if json:
            console.emit({"run": run.path, "finished": False})
        raise typer.Exit(INTERRUPTED)
    if json:
        console.emit({"run": run.path, "finished": True, **run.summary})
    else:
        print_results(run)


def print_results(run: Run) -> None:
    """Print the story, the loss beside its baselines, speed, cost, the report's path, and commands to try next."""
    from lilliput.base import console

    summary, path = run.summary, run.path
    if "story" in summary:
        console.print_line()
        console.print_line(summary["story"]["text"].strip())
    console.print_line()
    console.print_line(f"validation  {_against(summary)}")
    if VAL_MIDDLE_BITS in summary:
        console.print_line(f"middle      {_middle(summary)}")
    if old := summary.get(OLD_DOMAIN):
        console.print_line(f"old text    {_old_domain(old)}")
    if (kept := summary.get(VAL_HERO_KEPT)) is not None:
        console.print_line(f"heroes      {kept:.0%} of {summary[VAL_HEROES]} stories keep their hero")
    console.print_line(f"speed       {_speed(summary)}")
    console.print_line(f"cost        {_cost(summary['cost'])}")
    console.print_line(f"verdict     {summary['verdict']}")
    console.print_line(f"report      {console.typed(run.folder.report)}")
    console.print_line()
    console.print_line("next:")
    for command in _next(path, summary):
        console.print_line(f"  {command}")


def _against(summary: dict[str, Any]) -> str:
    from lilliput.objectives.figure import BITS
    from lilliput.objectives.known import figure_of

    figure = figure_of(summary)
    if figure != BITS:
        return f"{summary[figure.validation]:.3f} {figure.unit}"
    others = ", ".join(f"{name} {bits:.3f}" for name, bits in summary["baselines"].items())
    return f"{summary[VAL_BITS_PER_BYTE]:.3f} bits per byte" + (f" ({others} on the same tokens)" if others else "")


def _middle(summary: dict[str, Any]) -> str:
    """What is printed of the middles of held-out texts."""
    both, before = summary[VAL_MIDDLE_BITS], summary[VAL_MIDDLE_AFTER]
    words = summary.get(VAL_MIDDLE_WORDS)
    exact = "" if words is None else f"; {words:.0%} of missing words are filled in to the letter"
    return f"{both:.3f} bits per byte given both sides, {before:.3f} given the text before it{exact}"


def _old_domain(old: dict[str, Any]) -> str:
    """What is printed of the text that the first weights were trained on."""
    if "why_not" in old:
        return f"not measured: {old['why_not']}"
    return (
        f"{old['before']:.3f} bits per byte before, {old['after']:.3f} after ({old['difference']:+.3f}) "
        f"on the validation text of {old['name']}"
    )


def _speed(summary: dict[str, Any]) -> str:
    from lilliput.base.console import duration, number

    return (
        f"{summary[TOKENS_PER_SECOND]:,.0f} tokens/s, {summary['utilisation']:.0%} of the machine's matmul peak; "
        f"{number(summary['tokens'])} tokens in {duration(summary['seconds'])}, "
        f"{number(summary['parameters'])} parameters"
    )


def _cost(cost: dict[str, Any]) -> str:
    dollars = "" if cost["dollars"] is None else f", {cost['dollars']:.4f} dollars"
    return f"{cost['kwh'] * 1000:.2g} Wh, {cost['co2_grams']:.2g} g CO2{dollars} ({cost['basis']})"


def _chats(path: Path) -> bool:
    """Whether the run's newest checkpoint has a chat template, whatever objective trained it last."""
    from lilliput.data.chat_template import TEMPLATE_FILE
    from lilliput.runs.run_folder import RunFolder

    run = RunFolder(path)
    return any((run.checkpoint(step) / "model" / TEMPLATE_FILE).is_file() for step in run.steps()[-1:])


def _next(path: Path, summary: dict[str, Any]) -> list[str]:
    """Return commands for this run, quoted so that they can be pasted into this shell."""
    from lilliput.base import console
    from lilliput.objectives.known import objective_of

    lilliput, run, objective = console.command(), console.typed(path), objective_of(summary["objective"])
    if "story" not in summary:
        tries = () if objective is None else objective.tries
        return [*(f"{lilliput} {line.format(run=run)}" for line in tries), f"{lilliput} report {run}"]
    prompt = shlex.quote(summary["story"]["prompt"])
    side = "" if objective is None or objective.reads_forwards else "--ending "
    given = f" {side}{prompt}" if summary["story"]["prompt"] else ""
    if _chats(path):
        talk = [f"{lilliput} chat {run}", f"{lilliput} chat {run} --prompt {prompt}", f"{lilliput} serve {run}"]
        return [*talk, f"{lilliput} report {run}"]
    if objective is not None and objective.reads_source:
        return [f"{lilliput} generate {run}{given}", f"{lilliput} serve {run}", f"{lilliput} report {run}"]
    ending = shlex.quote(" ".join(summary["story"]["text"].split()[-LAST_WORDS:]))
    between = [f"{lilliput} generate {run} --prefix {prompt} --suffix {ending}"]
    return [
        *(between if objective is not None and objective.fills else []),
        f"{lilliput} generate {run}{given}",
        f"{lilliput} generate {run}{given} --explain",
        f"{lilliput} tokenizer show {prompt} --tokenizer {run}",
        f"{lilliput} report {run}",
    ]
