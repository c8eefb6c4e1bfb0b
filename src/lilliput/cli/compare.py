"""`lilliput compare RUN RUN...`: several runs on one offline page, and as a Markdown table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def compare(
    runs: Annotated[list[str], typer.Argument(help="Runs' names (runs/NAME) or folders, finished or not.")],
    output: Annotated[Path, typer.Option(help="The HTML page to write.")] = Path("compare.html"),
    level: Annotated[
        list[float] | None,
        typer.Option(help="A loss, in the runs' unit, to report when each run reached it. Repeatable."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of the table.")] = False,
) -> None:
    """Compare runs on one page. Loss against tokens, FLOPs and time, speed, samples; seeds of one recipe together."""
    from lilliput.base import console
    from lilliput.lab.compare import compare as compare_runs
    from lilliput.lab.compare_table import markdown, plain

    console.use_json(json)
    comparison = compare_runs(runs, output, levels=level or [])
    if json:
        console.emit({"page": output, **plain(comparison)})
        return
    console.print_line(markdown(comparison))
    console.print_line()
    console.print_line(str(output))
