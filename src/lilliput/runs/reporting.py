"""report: write the offline page of a run from its folder and, on request, its picture."""

from __future__ import annotations

from pathlib import Path

from lilliput.runs.finding import find
from lilliput.runs.picture import run_picture
from lilliput.runs.report import write_report


def report(run: str | Path, picture: str | Path | None = None) -> Path:
    """Write the report of a run, given by name or folder, as one offline page, and return its path. `picture` is an SVG
    file for a picture of the run. Raises CheckpointError where there is no run, or no figure to draw."""
    folder = find(run)
    page = write_report(folder)
    if picture is not None:
        run_picture(folder, Path(picture))
    return page
