"""`lilliput diaries make`, `report`, `payments`: days of people, with expenses that a program can read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lilliput.cli.options import Json

if TYPE_CHECKING:
    from collections.abc import Mapping

app = typer.Typer(no_args_is_help=True, help="Diaries of people: expenses and interactions that a program can read.")


@app.command()
def make(
    people: Annotated[Path, typer.Argument(help="A file of `lilliput personas make`.")],
    run: Annotated[str | None, typer.Option(help="A run of `lilliput personas train`. Left out: by rule.")] = None,
    out: Annotated[Path, typer.Option(help="The JSON lines file of the diaries.")] = Path("diaries.jsonl"),
    days: Annotated[int, typer.Option(min=1, help="Days of a diary, from a Monday on.")] = 7,
    seed: int = 0,
    json: Json = False,
) -> None:
    """Write a diary for each person of a file, by rule or by a model."""
    from lilliput.base import console
    from lilliput.worlds.population.files import read_diaries
    from lilliput.worlds.population.running import make_diaries

    console.use_json(json)
    found = make_diaries(people, out, run=run, days=days, seed=seed)
    if json:
        console.emit({"file": out, **found})
        return
    console.print_line(str(read_diaries(out)[0]))
    _print_report(found)
    console.print_line(f"wrote {found['people']:,} diaries: {out}")
    console.print_line(f"next: lilliput diaries report {out}")


@app.command()
def report(
    diaries: Annotated[Path, typer.Argument(help="A file of `lilliput diaries make`.")], json: Json = False
) -> None:
    """Read diaries, and print the euros a day, the interactions, and the days that contradict the person. Writes an
    offline page beside the file."""
    from lilliput.base import console
    from lilliput.worlds.population.running import report_diaries

    console.use_json(json)
    found, page = report_diaries(diaries)
    if json:
        console.emit({**found, "page": page})
        return
    _print_report(found)
    console.print_line(f"look at it: {page}")


@app.command()
def payments(
    diaries: Annotated[Path, typer.Argument(help="A file of `lilliput diaries make`.")],
    out: Annotated[Path, typer.Option(help="The CSV file of the payments.")] = Path("payments.csv"),
    json: Json = False,
) -> None:
    """Write the expenses of diaries as a table of payments: user_id, time, amount, category, location. It stands in for
    the bank statements of a company."""
    from lilliput.base import console
    from lilliput.worlds.population.files import read_diaries, write_payments

    console.use_json(json)
    rows = write_payments(out, read_diaries(diaries))
    if json:
        console.emit({"file": out, "rows": rows})
        return
    console.print_line(f"wrote {rows:,} payments: {out}")
    console.print_line(f"next: lilliput tables train {out} --entity user_id --time time")


def _print_report(found: Mapping[str, Any]) -> None:
    from lilliput.base import console
    from lilliput.cli.printing import print_table

    print_table(("euros a day", ""), [(name, f"{euros:.2f}") for name, euros in found["euros_a_day"].items()])
    wrong = found["contradicting"]
    console.print_line(
        f"{found['days']:,} days, {found['interactions_a_day']:.3f} interactions a day; {wrong['share']:.1%} of the "
        f"days ({wrong['low']:.1%} to {wrong['high']:.1%}) contradict the person or the heading"
    )
    for line in found["examples"]:
        console.print_line(f"  {line}")
