"""`lilliput plan`: forecast the cost of a recipe, and make studies that choose sizes, rates and batches."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lilliput.cli.groups import by_default
from lilliput.cli.options import Json, amount
from lilliput.cli.plan_runs import Overrides, batch_size, learning_rate, sweep
from lilliput.cli.texts import Data, sort_words

if TYPE_CHECKING:
    from lilliput.planning.chinchilla import Optimum
    from lilliput.planning.planning import Plan


app = typer.Typer(
    cls=by_default("recipe"),
    help="Plan what to train, before training it. `lilliput plan RECIPE` forecasts a run from a short pilot.",
    no_args_is_help=True,
)

app.command("sweep")(sweep)
app.command("learning-rate")(learning_rate)
app.command("batch-size")(batch_size)


@app.command("recipe")
def recipe(
    recipe: Annotated[str, typer.Argument(help="A shipped recipe's name or a YAML file.")],
    overrides: Overrides = None,
    data: Data = None,
    name: Annotated[str | None, typer.Option(help="The run's name, as for `lilliput train`.")] = None,
    seconds: Annotated[float, typer.Option(min=0.1, help="Time for the pilot's steps.")] = 3.0,
    compiled: Annotated[bool, typer.Option("--compiled", help="Compile in the pilot: up to a minute more.")] = False,
    json: Json = False,
) -> None:
    """Forecast a run. Its parameters, tokens, FLOPs, memory, time and cost; the same as `lilliput plan RECIPE`."""
    from lilliput import api
    from lilliput.base import console

    console.use_json(json)
    assignments, paths = sort_words(overrides, data)
    found = api.plan(recipe, assignments, data=paths, name=name, seconds=seconds, compiled=compiled)
    if json:
        console.emit({**found.forecast.as_dict(), "note": found.note, "checked": found.checked})
        return
    for line in _lines(found):
        console.print_line(line)


def _lines(found: Plan) -> list[str]:
    """Format the forecast as lines for a person."""
    from lilliput.base.console import duration, flops, number, size

    cast, pilot = found.forecast, found.forecast.pilot
    share = "" if cast.epochs < 0.01 else f", {cast.epochs:.3g} epochs"
    lines = [
        f"parameters  {number(cast.parameters)}, {number(cast.parameters_non_embedding)} of them not embedding or head",
        f"tokens      {number(cast.tokens)} in {cast.steps:,} steps of {cast.batch_tokens:,}{share}, "
        f"{cast.tokens_per_parameter:.3g} a parameter",
        f"ends by     {cast.bound}" + (f", before {' and '.join(cast.others)}" if cast.others else ""),
        f"work        {flops(cast.flops)}",
        f"memory      about {size(sum(cast.memory.values()))}: "
        + ", ".join(f"{part} {size(count)}" for part, count in cast.memory.items()),
        f"time        {duration(cast.seconds)}, {duration(cast.training_seconds)} of it training at "
        f"{cast.tokens_per_second:,.0f} tokens/s; then {duration(cast.ending_seconds)} of final scores and samples "
        f"({pilot.steps} steps tried here, {pilot.seconds:.1f} s in all)",
        _cost_line(cast.cost.as_dict()),
    ]
    if pilot.peak_bytes:
        lines[4] += f"; the pilot's process held {size(pilot.peak_bytes)} at most"
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
    flops: Annotated[float | None, amount(help="Budget in FLOPs; 10^17.5 unless a size or tokens are given.")] = None,
    parameters: Annotated[
        float | None,
        amount(help="A size, such as 117m; alone, print its best number of tokens."),
    ] = None,
    tokens: Annotated[float | None, amount(help="Tokens, with --parameters instead of --flops.")] = None,
    picture: Annotated[Path | None, typer.Option(help="Draw the figure into this SVG file.")] = None,
    page: Annotated[Path | None, typer.Option(help="Write the figure as an offline page with sliders.")] = None,
    json: Json = False,
) -> None:
    """Find the best size for a budget, or the tokens for a size. By every known method, with the IsoFLOP figure."""
    from lilliput.base import console
    from lilliput.base.files import write_text
    from lilliput.planning import isoflop as figure
    from lilliput.planning.chinchilla import CHINCHILLA, chosen_model, disagreement, methods, methods_of

    console.use_json(json)
    model = chosen_model(flops, parameters, tokens)
    size_alone = parameters is not None and flops is None and tokens is None
    found = methods_of(model.parameters) if size_alone else methods(model.flops)
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
    console.print_line(f"the model  {figure.describe(model)}")
    console.print_line()
    for line in _methods(found, "best for this size" if size_alone else "best for these FLOPs"):
        console.print_line(line)
    console.print_line("the model is by approach 3, rounded constants" if size_alone else disagreement(found))
    for path, _ in files.values():
        if path:
            console.print_line(str(path))


def _methods(found: dict[str, Optimum], title: str) -> list[str]:
    from lilliput.base.console import number

    wide = max(map(len, found))
    head = f"{title:{wide}}  parameters   tokens  tokens a parameter"
    return [head] + [
        f"{name:{wide}}  {number(o.parameters):>10}  {number(o.tokens):>7}  {o.tokens_per_parameter:>18.3g}"
        for name, o in found.items()
    ]


@app.command("tables")
def tables(
    parameters: Annotated[float | None, amount(help="Your model's size, with --tokens: 117m.")] = None,
    tokens: Annotated[float | None, amount(help="Training tokens, such as 15t, or an amount of text.")] = None,
    words: Annotated[float | None, amount(help="An amount of text in words.")] = None,
    novels: Annotated[float | None, amount(help="An amount of text in novels.")] = None,
    gpu_hours: Annotated[float | None, amount(help="GPU hours, as energy and CO2.")] = None,
    watts: Annotated[float, typer.Option(help="Power of a GPU.")] = 700.0,
    grams_co2_per_kwh: Annotated[float, typer.Option(help="Carbon intensity of the grid.")] = 480.0,
    page: Annotated[Path | None, typer.Option(help="Write the tables as an offline page with calculators.")] = None,
    json: Json = False,
) -> None:
    """Show reference tables. Known models' sizes, tokens as words and novels, GPU hours as energy. Numbers of your own
    become rows of the tables."""
    from dataclasses import asdict

    from lilliput.base import console
    from lilliput.base.errors import ConfigError
    from lilliput.base.files import write_text
    from lilliput.planning import tables as reference

    console.use_json(json)
    shown, values = reference.cells(), reference.as_dict()
    if parameters is not None and tokens is None:
        raise ConfigError("--parameters needs the number of training tokens", "give --tokens as well")
    own: dict[str, Any] = {}
    if parameters is not None and tokens is not None:
        own["models"] = reference.training(parameters, tokens)
        shown["models"] = {"yours": reference.model_cells(own["models"]), **shown["models"]}
    if tokens is not None or words is not None or novels is not None:
        own["texts"] = reference.text(tokens=tokens, words=words, novels=novels)
        shown["text"] = {"yours": reference.text_cells(own["texts"]), **shown["text"]}
    if gpu_hours is not None:
        own["energy"] = reference.energy(gpu_hours, watts, grams_co2_per_kwh)
        shown["energy"] = {"yours": reference.energy_cells(own["energy"]), **shown["energy"]}
    if page:
        page.parent.mkdir(parents=True, exist_ok=True)
        write_text(page, reference.page())
    if json:
        console.emit({**values, "yours": {kind: asdict(row) for kind, row in own.items()}, "page": page})
        return
    for rows in shown.values():
        for line in _table(rows):
            console.print_line(line)
        console.print_line()
    if page:
        console.print_line(str(page))


def _table(rows: dict[str, dict[str, str]]) -> list[str]:
    """Format rows of cells as lines, with each column as wide as its widest cell."""
    columns = list(next(iter(rows.values())))
    first = max(map(len, rows))
    widths = [max(len(column), *(len(row[column]) for row in rows.values())) for column in columns]
    lines = [("", columns), *((name, list(row.values())) for name, row in rows.items())]
    return [
        f"{name:{first}}  " + "  ".join(f"{cell:>{wide}}" for cell, wide in zip(cells, widths, strict=True))
        for name, cells in lines
    ]
