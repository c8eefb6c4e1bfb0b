"""`lilliput personas train`, `make`, `report`: made-up people who fit aggregate tables, by rule and by a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lilliput.cli.options import Json, whole

if TYPE_CHECKING:
    from collections.abc import Mapping

app = typer.Typer(no_args_is_help=True, help="Made-up people who fit aggregate tables, by rule and by a model.")
Tables = Annotated[
    Path | None, typer.Option(help="A folder of CSV tables of counts. Left out: those of a made-up town.")
]
SHOWN = 3
"""People that are printed."""


@app.command()
def train(
    words: Annotated[list[str] | None, typer.Argument(help="key=value such as train.epochs=5.")] = None,
    tables: Tables = None,
    people: Annotated[int, whole(help="People whose days by rule are learned.")] = 12_000,
    name: Annotated[str, typer.Option(help="The run's name.")] = "people",
    seed: int = 0,
    json: Json = False,
) -> None:
    """Train a model of people drawn from aggregate tables, and of their days by rule, into runs/NAME."""
    from lilliput.base import console
    from lilliput.worlds.population.training import train_population

    console.use_json(json)
    run = train_population(words or (), tables=tables, people=people, name=name, seed=seed, notify=console.print_line)
    if json:
        console.emit({"run": run.path, "summary": run.summary})
        return
    console.print_line(f"next: lilliput personas make 1000 --run {name} --out people.jsonl")
    console.print_line(f"      lilliput simulate {name} --people 200 --days 14 --policy tram=0 --from-day 8")


@app.command()
def make(
    count: Annotated[int, typer.Argument(min=1, help="People.")] = 1000,
    run: Annotated[str | None, typer.Option(help="A run of `lilliput personas train`. Left out: by rule.")] = None,
    tables: Tables = None,
    out: Annotated[Path, typer.Option(help="The JSON lines file of the people.")] = Path("people.jsonl"),
    seed: int = 0,
    json: Json = False,
) -> None:
    """Make people: drawn from aggregate tables, or written by a model. Each has a text in the first person."""
    from lilliput.base import console
    from lilliput.worlds.population.files import read_people
    from lilliput.worlds.population.running import make_people
    from lilliput.worlds.population.telling import tell

    console.use_json(json)
    found = make_people(out, count, run=run, tables=tables, seed=seed)
    if json:
        console.emit({"file": out, **found})
        return
    for person in read_people(out)[:SHOWN]:
        console.print_line(tell(person))
    _print_fit(found)
    console.print_line(f"wrote {found['people']:,} people: {out}")
    console.print_line(f"next: lilliput diaries make {out} --out diaries.jsonl")


@app.command()
def report(
    people: Annotated[Path, typer.Argument(help="A file of `lilliput personas make`.")],
    tables: Tables = None,
    json: Json = False,
) -> None:
    """Compare people with aggregate tables: the error of each table and the share of each category, with intervals.
    Writes an offline page beside the file."""
    from lilliput.base import console
    from lilliput.worlds.population.running import report_people

    console.use_json(json)
    found, page = report_people(people, tables=tables)
    if json:
        console.emit({**found, "page": page})
        return
    _print_fit(found)
    console.print_line(f"look at it: {page}")


def _print_fit(found: Mapping[str, Any]) -> None:
    from lilliput.base import console
    from lilliput.cli.printing import print_table

    rows = [
        (name, f"{each['error']:.4f}", f"{each['low']:.4f} to {each['high']:.4f}", f"{each['perfect']:.4f}")
        for name, each in found["tables"].items()
    ]
    print_table(("table", "error", "95% interval", "a perfect sample"), rows)
    outside, contradicting = found["outside"], found["contradicting"]["share"]
    console.print_line(f"{outside:,} people belong to no category; {contradicting:.1%} contradict themselves")
