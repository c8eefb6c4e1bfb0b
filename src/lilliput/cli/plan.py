"""`lilliput plan`: what a recipe will take, and the studies that say what to train."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import click
import typer
from typer.core import TyperGroup

if TYPE_CHECKING:
    from lilliput.api.planning import Plan
    from lilliput.plan.chinchilla import Optimum
    from lilliput.plan.study import Findings


class RecipeOrCommand(TyperGroup):
    """`plan story` means `plan recipe story`: a first word that is no command is a recipe."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            args = ["recipe", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=RecipeOrCommand,
    help="What to train, before training it. `lilliput plan RECIPE` forecasts a run from a pilot of a few seconds.",
    no_args_is_help=True,
)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Overrides = Annotated[list[str] | None, typer.Argument(help="section.key=value, such as train.steps=500")]
Data = Annotated[list[str] | None, typer.Option(help="Text of your own: files, folders, globs, or hf:NAME.")]


@app.command("recipe")
def recipe(
    recipe: Annotated[str, typer.Argument(help="A shipped recipe's name or a YAML file.")],
    overrides: Overrides = None,
    data: Data = None,
    name: Annotated[str | None, typer.Option(help="The run's name, as for `lilliput train`.")] = None,
    seconds: Annotated[float, typer.Option(min=0.1, help="Length of the pilot.")] = 4.0,
    compiled: Annotated[bool, typer.Option("--compiled", help="Compile in the pilot: up to a minute more.")] = False,
    json: Json = False,
) -> None:
    """Forecast a run: parameters, tokens, FLOPs, memory, time, cost. The same as `lilliput plan RECIPE`."""
    from lilliput.api.planning import plan
    from lilliput.base import console
    from lilliput.cli.train import sort_words

    console.use_json(json)
    assignments, paths = sort_words(overrides or [], data or [])
    found = plan(recipe, assignments, data=paths, name=name, seconds=seconds, compiled=compiled)
    if json:
        console.emit({**found.forecast.as_dict(), "note": found.note, "checked": found.checked})
        return
    for line in _lines(found):
        console.say(line)


def _lines(found: Plan) -> list[str]:
    """The forecast for a person."""
    from lilliput.base.console import duration, flops, number, size

    cast, pilot = found.forecast, found.forecast.pilot
    share = "" if cast.epochs < 0.01 else f", {cast.epochs:.3g} epochs"
    lines = [
        f"parameters  {number(cast.parameters)}, {number(cast.parameters_non_embedding)} of them not embedding or head",
        f"tokens      {number(cast.tokens)} in {cast.steps:,} steps of {cast.batch_tokens:,}{share}, "
        f"{cast.tokens_per_parameter:.3g} a parameter",
        f"work        {flops(cast.flops)}",
        f"memory      about {size(sum(cast.memory.values()))}: "
        + ", ".join(f"{part} {size(count)}" for part, count in cast.memory.items()),
        f"time        {duration(cast.seconds)}, {duration(cast.training_seconds)} of it training at "
        f"{cast.tokens_per_second:,.0f} tokens/s ({pilot.steps} steps tried here)",
        _cost_line(cast.cost.as_dict()),
    ]
    if pilot.peak_bytes:
        lines[3] += f"; the pilot's process held {size(pilot.peak_bytes)} at most"
    if found.note:
        lines.append(f"note        {found.note}")
    lines += [f"doubt       {doubt}" for doubt in cast.warnings]
    for name, pair in (found.checked or {}).items():
        lines.append(
            f"checked     {name}: {pair['predicted']:.4g} forecast, {pair['actual']:.4g} in the finished run "
            f"({pair['error']:+.1%})"
        )
    return lines


def _cost_line(cost: dict[str, Any]) -> str:
    dollars = "" if cost["dollars"] is None else f", {cost['dollars']:.2f} dollars"
    return f"cost        {cost['kwh']:.3g} kWh, {cost['co2_grams']:.3g} g CO2{dollars} ({cost['basis']})"


@app.command("isoflop")
def isoflop(
    flops: Annotated[
        float | None, typer.Option(help="Budget in FLOPs; 10^17.5 unless size or tokens say otherwise.")
    ] = None,
    parameters: Annotated[float | None, typer.Option(help="A size instead of the best one, such as 51e6.")] = None,
    tokens: Annotated[float | None, typer.Option(help="Tokens, with --parameters instead of --flops.")] = None,
    picture: Annotated[Path | None, typer.Option(help="Draw the figure into this SVG file.")] = None,
    page: Annotated[Path | None, typer.Option(help="Write the figure as an offline page that can be moved.")] = None,
    json: Json = False,
) -> None:
    """The best size for a budget, by every method that is known, and the IsoFLOP figure."""
    from lilliput.base import console
    from lilliput.base.files import write_text
    from lilliput.plan import isoflop as figure
    from lilliput.plan.chinchilla import CHINCHILLA, chosen_model, disagreement, methods

    console.use_json(json)
    model = chosen_model(flops, parameters, tokens)
    found = methods(model.flops)
    files = {"picture": (picture, figure.picture), "page": (page, figure.page)}
    for path, draw in files.values():
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_text(path, draw(CHINCHILLA, model))
    if json:
        named = {name: optimum.as_dict() for name, optimum in found.items()}
        written = {name: path for name, (path, _) in files.items()}
        console.emit({"model": model.as_dict(), "methods": named, "law": CHINCHILLA.as_dict(), **written})
        return
    console.say(f"the model  {figure.describe(model)}")
    console.say()
    for line in _methods(found):
        console.say(line)
    console.say(disagreement(found))
    for path, _ in files.values():
        if path:
            console.say(str(path))


def _methods(found: dict[str, Optimum]) -> list[str]:
    from lilliput.base.console import number

    wide = max(map(len, found))
    head = f"{'best for these FLOPs':{wide}}  parameters   tokens  tokens a parameter"
    return [head] + [
        f"{name:{wide}}  {number(o.parameters):>10}  {number(o.tokens):>7}  {o.tokens_per_parameter:>18.3g}"
        for name, o in found.items()
    ]


@app.command("sweep")
def sweep(
    recipe: Annotated[str, typer.Argument(help="Data, tokenizer, batch and optimizer of every run.")] = "story",
    overrides: Overrides = None,
    data: Data = None,
    budgets: Annotated[str, typer.Option(help="Budgets in FLOPs, three or more.")] = "3e11,1e12,3e12",
    held_out: Annotated[str, typer.Option(help="A larger budget that the fits do not see, or 'none'.")] = "1e13",
    per_budget: Annotated[int, typer.Option(min=3, help="Sizes of a budget to begin with.")] = 5,
    sizes: Annotated[str, typer.Option(help="These sizes at every budget instead, such as w64-d1,w96-d2.")] = "",
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each size.")] = 1,
    tokens_per_parameter: Annotated[float, typer.Option(help="The guess that sizes are chosen around.")] = 20.0,
    name: Annotated[str, typer.Option(help="The study's folder: runs/NAME.")] = "sweep",
    json: Json = False,
) -> None:
    """An IsoFLOP study of real runs: fits with intervals, and a test on a larger budget. Again: goes on."""
    from lilliput.api.sweep import Settings
    from lilliput.api.sweep import sweep as run_sweep
    from lilliput.base import console
    from lilliput.cli.train import INTERRUPTED, sort_words

    console.use_json(json)
    assignments, paths = sort_words(overrides or [], data or [])
    settings = Settings(
        tuple(_numbers(budgets, "--budgets")),
        None if held_out == "none" else _numbers(held_out, "--held-out")[0],
        per_budget,
        tuple(filter(None, sizes.split(","))),
        seeds,
        tokens_per_parameter,
    )
    done = run_sweep(recipe, assignments, data=paths, name=name, settings=settings)
    if json:
        console.emit(done.as_dict())
    elif done.findings is None:
        console.say(f"interrupted after {len(done.trials)} runs; the same command again goes on")
    else:
        for line in _findings(done.findings):
            console.say(line)
        console.say(f"report      {done.files['page']}")
    if done.findings is None:
        raise typer.Exit(INTERRUPTED)


def _findings(found: Findings) -> list[str]:
    """The study for a person."""
    from lilliput.base.console import number
    from lilliput.plan.study_page import sized, with_interval

    lines = []
    for curve in found.curves:
        best = "no minimum" if curve.best is None else f"best size {sized(curve.best, curve.interval)}"
        loss = "" if curve.loss is None else f" on {number(curve.tokens or 0)} tokens, {curve.loss:.4f} bits per byte"
        lines.append(f"{curve.budget:<10.3g}  {best}{loss}")
    lines.append(f"exponent    {with_interval(found.exponent, found.exponent_interval, '{:.3f}')} of size in budget by "
                 f"approach 2, {found.law_exponent:.3f} by the law")  # fmt: skip
    constants = (with_interval(v, found.law_intervals[n], "{:.3g}") for n, v in found.law.as_dict().items())
    lines.append(
        "law         " + ", ".join(f"{n} {text}" for n, text in zip(found.law.as_dict(), constants, strict=True))
    )
    if test := found.held_out:
        size = "no minimum" if test.curve.best is None else sized(test.curve.best, test.curve.interval)
        lines.append(
            f"held out    best size {size}; foretold {sized(test.size_by_line, test.size_by_line_interval)} by "
            f"approach 2, {sized(test.size_by_law, test.size_by_law_interval)} by the law"
        )
        lines.append(
            f"            the law's losses are off by {test.mean_error:.1%} on average, {test.worst:+.1%} at worst"
        )
    return lines + [f"doubt       {doubt}" for doubt in found.doubts]


def _numbers(text: str, option: str) -> list[float]:
    """Comma-separated numbers. Raises ConfigError."""
    from lilliput.base.errors import ConfigError

    try:
        return [float(part) for part in text.split(",") if part.strip()]
    except ValueError:
        raise ConfigError(f"{option} '{text}' is not a list of numbers", f"such as {option} 1e12,3e12") from None
