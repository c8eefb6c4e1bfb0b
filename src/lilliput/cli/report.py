"""`lilliput report RUN`: one offline HTML page about a run, and on request a picture of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lilliput.cli.options import Json


def report(
    run: Annotated[str, typer.Argument(help="A run's name (runs/NAME) or its folder, finished or not.")],
    picture: Annotated[
        Path | None, typer.Option(help="Also draw the loss curve with samples into this SVG file.")
    ] = None,
    show: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    json: Json = False,
) -> None:
    """Write a run's offline page. RUN/report.html is made from the files of the run's folder; its path is printed."""
    from lilliput.base import console
    from lilliput.runs.reporting import report as write_report

    console.use_json(json)
    page = write_report(run, picture)
    if json:
        console.emit({"report": page, "picture": picture})
    else:
        console.print_line(str(page))
        if picture:
            console.print_line(str(picture))
    if show:
        typer.launch(str(page))
