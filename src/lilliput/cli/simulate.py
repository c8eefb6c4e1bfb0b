"""`lilliput simulate`: people who live day by day through a model, and what a policy changes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lilliput.cli.options import Json, whole


def simulate(
    run: Annotated[str | None, typer.Argument(help="A run of `lilliput personas train`. Left out: by rule.")] = None,
    people: Annotated[int, whole(help="People of the town.")] = 200,
    days: Annotated[int, typer.Option(min=1, help="Days, from a Monday and the first of a month.")] = 14,
    policy: Annotated[
        list[str] | None, typer.Option(help="tram=0, rent=+10% or income=200. Repeatable.", show_default=False)
    ] = None,
    from_day: Annotated[int, typer.Option(min=1, help="The first day of the policy.")] = 1,
    out: Annotated[Path, typer.Option(help="The folder of the days and the page.")] = Path("town"),
    tables: Annotated[Path | None, typer.Option(help="Aggregate tables of the people, in place of the run's.")] = None,
    seed: int = 0,
    workers: Annotated[int, whole(help="Processes that write days side by side.")] = 1,
    json: Json = False,
) -> None:
    """Let made-up people live day by day, by a model or by rule: with money, friends and weather. With a policy the
    town is simulated twice, with and without it. The same command goes on where it was interrupted."""
    from lilliput.base import console
    from lilliput.cli.printing import print_table
    from lilliput.worlds.agents.simulating import simulate_town

    console.use_json(json)
    found, page = simulate_town(
        run,
        out,
        people=people,
        days=days,
        policy=policy or (),
        from_day=from_day,
        tables=tables,
        seed=seed,
        workers=workers,
        notify=console.print_line,
    )
    if json:
        console.emit({**found, "page": page})
        return
    rows = []
    for name, each in found["outcomes"].items():
        cells = [f"{each[arm]:.3f}" for arm in ("control", "policy") if arm in each]
        if "difference" in each:
            cells += [f"{each['difference']:+.3f}", f"{each['low']:+.3f} to {each['high']:+.3f}"]
        rows.append((name, *cells))
    head = ("a person and day", "control", "policy", "difference", "95% interval")
    print_table(head[: len(rows[0])], rows)
    console.print_line(f"look at it: {page}")
