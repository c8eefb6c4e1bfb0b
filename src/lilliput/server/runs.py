"""/runs: runs in training as their files on disk show them, for the page's live view."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from lilliput.objectives.figure import Figure
from lilliput.runs.names import TOKENS_PER_SECOND
from lilliput.runs.run_folder import RunFolder
from lilliput.server.run_files import (
    Records,
    RunFiles,
    Unread,
    read_budget,
    read_figure,
    read_heads,
    read_run,
    read_samples,
)

State = Literal["running", "finished", "stopped"]
POINTS = 240
"""Most points of a curve that are sent: more than a small chart shows."""

QUIET_SECONDS = 60.0
"""A run that wrote nothing for this long, and for several times its usual interval, counts as stopped."""


class FigureView(BaseModel):
    """The figure by which a run is judged, at the last evaluation; null before the first."""

    name: str
    unit: str
    value: float | None


class RunLine(BaseModel):
    """A run in the list. It has trained for `seconds`, and last wrote `updated` seconds ago. `val_bits_per_byte` is
    null where the run is judged by another figure."""

    name: str
    state: State
    step: int
    seconds: float
    updated: float
    val_bits_per_byte: float | None
    figure: FigureView


class SampleView(BaseModel):
    """A sample: the text before the prompt (of a model that reads backwards), the prompt, and the text after it."""

    before: str
    prompt: str
    text: str


class HeadsView(BaseModel):
    """The strongest head of a kind through a watched run: (step, score). `head` is its name at the last look."""

    kind: str
    head: str
    points: list[tuple[float, float]]


class RunView(RunLine):
    """The live view's data. Curves are (step, the run's figure). `eta` is seconds left, null where they cannot be known
    (a run bounded by epochs). `heads` is empty for a run that is not watched."""

    fraction: float | None
    eta: float | None
    tokens: int
    tokens_per_second: float | None
    training: list[tuple[float, float]]
    validation: list[tuple[float, float]]
    samples: list[SampleView]
    samples_step: int | None
    heads: list[HeadsView]


class UnreadRun(BaseModel):
    """A folder that looks like a run and cannot be read."""

    name: str
    reason: str


class RunList(BaseModel):
    runs: list[RunLine]
    unread: list[UnreadRun]


def router(folder: Path) -> APIRouter:
    """Return the routes for the runs in `folder`, which need not exist."""
    routes = APIRouter()

    @routes.get("/runs")
    def runs() -> RunList:
        lines, unread = [], []
        for name, path in sorted(_listed(folder).items()):
            try:
                if found := read_run(path):
                    lines.append(_line(found, read_figure(found.run)))
            except Unread as error:
                unread.append(UnreadRun(name=name, reason=str(error)))
        return RunList(runs=sorted(lines, key=lambda line: line.updated), unread=unread)

    @routes.get("/runs/{name}")
    def run(name: str) -> RunView:
        path = _listed(folder).get(name)  # looked up in the listing, so that a name is never a path
        try:
            found = read_run(path) if path else None
        except Unread as error:
            raise HTTPException(404, f"the run {name} cannot be read: {error}") from None
        if found is None:
            raise HTTPException(404, f"there is no run of that name in {folder}")
        return _view(found)

    return routes


def _listed(folder: Path) -> dict[str, Path]:
    """Return the folders in `folder`, by the names under which they are shown."""
    try:
        with os.scandir(folder) as entries:
            return {_shown(entry.name): Path(entry.path) for entry in entries if entry.is_dir()}
    except OSError:  # it is not there, no folder, or closed to us: there are no runs to show
        return {}


def _shown(name: str) -> str:
    """Return a folder's name as text that can be sent. The name's bytes may be no UTF-8."""
    return name.encode("utf-8", errors="backslashreplace").decode("utf-8")


def _line(found: RunFiles, figure: Figure) -> RunLine:
    """The run in short."""
    records = found.records
    last, updated = records[-1], max(0.0, time.time() - found.written)
    validation = _curve(records, figure.validation)
    return RunLine(
        name=_shown(found.run.path.name),
        state=_state(found.run, records, updated),
        step=int(_number(last, "step") or 0),
        seconds=_number(last, "seconds") or 0.0,
        updated=updated,
        **figure.named(validation[-1][1] if validation else None),
    )


def _state(run: RunFolder, records: Records, updated: float) -> State:
    if os.path.isfile(run.summary):  # never raises, as Path.is_file does in a closed folder
        return "finished"
    times = [second for record in records[-20:] if (second := _number(record, "seconds")) is not None]
    usual = median([later - sooner for sooner, later in pairwise(times)] or [0.0])
    return "running" if updated < max(QUIET_SECONDS, 5 * usual) else "stopped"


def _view(found: RunFiles) -> RunView:
    figure = read_figure(found.run)
    line, records = _line(found, figure), found.records
    last = records[-1]
    fraction = 1.0 if line.state == "finished" else _fraction(found.run, last)
    left = line.seconds * (1 - fraction) / fraction if fraction and line.state == "running" else math.inf
    newest = read_samples(found.run)
    return RunView(
        **line.model_dump(),
        fraction=fraction,
        eta=left if math.isfinite(left) else None,
        tokens=int(_number(last, "tokens") or 0),
        tokens_per_second=_number(last, TOKENS_PER_SECOND),
        training=_thinned(_curve(records, figure.training)),
        validation=_thinned(_curve(records, figure.validation)),
        samples=[SampleView(before=s.before, prompt=s.prompt, text=s.text) for s in newest.samples] if newest else [],
        samples_step=newest.step if newest else None,
        heads=_heads(read_heads(found.run)),
    )


KINDS = {
    "previous": "looks at the previous token",
    "first": "looks at the first token",
    "duplicate": "looks at the same token before",
    "induction": "looks at the token after the same token (induction)",
    "induction_shuffled": "looks there on shuffled tokens (control of induction)",
}
"""The scores of heads.jsonl, in words."""


def _heads(records: Records) -> list[HeadsView]:
    """Return the strongest head of each kind at each look, with the control of the induction heads."""
    views = []
    for score, words in KINDS.items():
        looks = [(_number(line, "step"), _strongest(line.get(score))) for line in records]
        known = [(step, one) for step, one in looks if step is not None and one is not None]
        if known:
            points = _thinned([(step, value) for step, (value, _) in known])
            views.append(HeadsView(kind=words, head=known[-1][1][1], points=points))
    return views


def _strongest(layers: Any) -> tuple[float, str] | None:
    """Return the largest score of [layer: [head]] and the head's name, such as 1.0; None for another value."""
    if not isinstance(layers, list) or not all(isinstance(heads, list) for heads in layers):
        return None
    scores = [
        (float(value), f"{layer}.{head}")
        for layer, heads in enumerate(layers)
        for head, value in enumerate(heads)
        if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= 1
    ]
    return max(scores, default=None)


def _fraction(run: RunFolder, last: Mapping[str, Any]) -> float | None:
    """Return the used share of the budget, by the recipe's bounds that metrics can be compared with. None where the
    recipe does not exist yet or is damaged; the curve is then shown without an ETA."""
    budget = read_budget(run)
    used = [
        done / bound
        for key in ("steps", "tokens", "seconds")
        if (bound := _number(budget, key))
        and bound > 0
        and (done := _number(last, "step" if key == "steps" else key)) is not None
    ]
    return max(0.0, min(1.0, max(used))) if used else None


def _number(record: Mapping[str, Any], key: str) -> float | None:
    """Return a finite number, else None."""
    value = record.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        value = float(value)
    except OverflowError:  # an integer of four hundred digits
        return None
    return value if math.isfinite(value) else None


def _curve(records: Records, key: str) -> list[tuple[float, float]]:
    pairs = ((_number(record, "step"), _number(record, key)) for record in records)
    return [(step, value) for step, value in pairs if step is not None and value is not None]


def _thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return at most POINTS of the points, evenly spaced, always with the last point."""
    if len(points) <= POINTS:
        return points
    return [points[round(i * (len(points) - 1) / (POINTS - 1))] for i in range(POINTS)]
