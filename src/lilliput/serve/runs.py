"""/runs: runs in training as they stand on disk, for the page's live view."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from lilliput.base.config import read_yaml
from lilliput.base.errors import ConfigError
from lilliput.train.run_folder import RunFolder
from lilliput.train.samples_file import parse_samples

State = Literal["running", "finished", "stopped"]
Records = Sequence[Mapping[str, Any]]
POINTS = 240
"""Points of a curve that are sent at most: more than a small chart shows."""

QUIET_SECONDS = 60.0
"""A run that wrote nothing for this long, and for several times its usual interval, is taken for stopped."""


class RunLine(BaseModel):
    """A run in the list; `seconds` it has trained, `updated` seconds ago it last wrote."""

    name: str
    state: State
    step: int
    seconds: float
    updated: float
    val_bits_per_byte: float | None


class Told(BaseModel):
    """A sample: what leads to the prompt (a model told backwards), the prompt, and what follows it."""

    before: str
    prompt: str
    text: str


class RunView(RunLine):
    """All that the live view shows. Curves are (step, bits per byte); `eta` is seconds left, null where it cannot be
    known (a run bounded by epochs)."""

    fraction: float | None
    eta: float | None
    tokens: int
    tokens_per_second: float | None
    training: list[tuple[float, float]]
    validation: list[tuple[float, float]]
    samples: list[Told]
    samples_step: int | None


class RunList(BaseModel):
    runs: list[RunLine]


def router(folder: Path) -> APIRouter:
    """The routes, for the runs in `folder`; which need not exist."""
    routes = APIRouter()

    @routes.get("/runs")
    def runs() -> RunList:
        found = (_read(path) for path in _listed(folder).values())
        return RunList(runs=sorted((_line(*run) for run in found if run), key=lambda line: line.updated))

    @routes.get("/runs/{name}")
    def run(name: str) -> RunView:
        path = _listed(folder).get(name)  # looked up in the listing, so that a name is never a path
        found = _read(path) if path else None
        if found is None:
            raise HTTPException(404, f"there is no run of that name in {folder}")
        return _view(*found)

    return routes


def _listed(folder: Path) -> dict[str, Path]:
    return {path.name: path for path in folder.iterdir() if path.is_dir()} if folder.is_dir() else {}


def _read(path: Path) -> tuple[RunFolder, Records] | None:
    """A run and its metrics; None before the first line, and for a folder that is no run."""
    run = RunFolder(path)
    try:
        records = [record for record in run.read_metrics() if isinstance(record, dict)]
    except (OSError, UnicodeDecodeError):
        return None  # it was taken away meanwhile, or another program's file has that name
    return (run, records) if records else None


def _line(run: RunFolder, records: Records) -> RunLine:
    """The run in short."""
    last, updated = records[-1], max(0.0, time.time() - run.metrics.stat().st_mtime)
    validation = _curve(records, "val_bits_per_byte")
    return RunLine(
        name=run.path.name,
        state=_state(run, records, updated),
        step=int(_number(last, "step") or 0),
        seconds=_number(last, "seconds") or 0.0,
        updated=updated,
        val_bits_per_byte=validation[-1][1] if validation else None,
    )


def _state(run: RunFolder, records: Records, updated: float) -> State:
    if run.summary.is_file():
        return "finished"
    times = [second for record in records[-20:] if (second := _number(record, "seconds")) is not None]
    usual = median([later - sooner for sooner, later in pairwise(times)] or [0.0])
    return "running" if updated < max(QUIET_SECONDS, 5 * usual) else "stopped"


def _view(run: RunFolder, records: Records) -> RunView:
    line = _line(run, records)
    last = records[-1]
    fraction = 1.0 if line.state == "finished" else _fraction(run, last)
    left = line.seconds * (1 - fraction) / fraction if fraction and line.state == "running" else None
    sections = parse_samples(run.samples.read_text(encoding="utf-8", errors="replace")) if run.samples.is_file() else []
    newest = sections[-1] if sections else None
    return RunView(
        **line.model_dump(),
        fraction=fraction,
        eta=left,
        tokens=int(_number(last, "tokens") or 0),
        tokens_per_second=_number(last, "tokens_per_second"),
        training=_thinned(_curve(records, "bits_per_byte")),
        validation=_thinned(_curve(records, "val_bits_per_byte")),
        samples=[Told(before=s.before, prompt=s.prompt, text=s.text) for s in newest.samples] if newest else [],
        samples_step=newest.step if newest else None,
    )


def _fraction(run: RunFolder, last: Mapping[str, Any]) -> float | None:
    """Share of the budget that is used, by the bounds of the recipe that metrics can be held against."""
    try:
        budget = read_yaml(run.recipe).get("train")
    except ConfigError:
        budget = None  # the recipe is not there yet, or is damaged: the curve is shown without an ETA
    if not isinstance(budget, dict):
        return None
    used = [
        done / bound
        for key in ("steps", "tokens", "seconds")
        if (bound := _number(budget, key)) and (done := _number(last, "step" if key == "steps" else key)) is not None
    ]
    return min(1.0, max(used)) if used else None


def _number(record: Mapping[str, Any], key: str) -> float | None:
    """A finite number, else None."""
    value = record.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _curve(records: Records, key: str) -> list[tuple[float, float]]:
    pairs = ((_number(record, "step"), _number(record, key)) for record in records)
    return [(step, value) for step, value in pairs if step is not None and value is not None]


def _thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most POINTS of the points, evenly taken, the last one always among them."""
    if len(points) <= POINTS:
        return points
    return [points[round(i * (len(points) - 1) / (POINTS - 1))] for i in range(POINTS)]
