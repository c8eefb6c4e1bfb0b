"""Looking across models: the same figures of several models, and of one run's checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lilliput.assembly.looking import page_file
from lilliput.assembly.recipe import run_of
from lilliput.assembly.subject import Seen, look_at
from lilliput.base.console import print_line, progress
from lilliput.base.errors import CheckpointError, ConfigError
from lilliput.base.files import write_json, write_text
from lilliput.base.runtime import state
from lilliput.lens.compare import Roles, compare_page, comparing, evolve_page, plain_roles, roles
from lilliput.lens.look import Look, measure
from lilliput.runs.names import LENS_EVOLVE

Say = Callable[[str], None]
COMPARED = "lens-compare.html"
"""The page of several models, in the current folder."""
MOST_STEPS = 12
"""Checkpoints that are looked at, evenly spread; --thorough looks at all of them."""


@dataclass(frozen=True, slots=True)
class Across:
    """Figures by instrument, role and column, and the files that hold them."""

    roles: Roles
    columns: list[str]
    page: Path
    figures: Path

    def as_dict(self) -> dict[str, Any]:
        """Return the content of the JSON file."""
        return {"columns": self.columns, "figures": plain_roles(self.roles), "runtime": state.recorded()}


def compare_inside(
    paths: Sequence[str | Path],
    only: Sequence[str] = (),
    *,
    data: str | Sequence[str] = (),
    fit: Sequence[str] = (),
    thorough: bool = False,
    output: str | Path | None = None,
    seed: int = 0,
    device: str = "auto",
    notify: Say = print_line,
) -> Across:
    """Look inside several models of any size, style or direction, and write their comparable figures side by side into
    one page, by default lens-compare.html here, with a JSON file beside it. A model is read on its own held-out text,
    or on `data`. Raises ConfigError for fewer than two models, and for an instrument without a comparable figure."""
    if len(paths) < 2:
        raise ConfigError("to compare takes two models at least", "name them: lilliput lens compare RUN RUN")
    names, target = comparing(only), page_file(output or COMPARED)
    texts = [data] if isinstance(data, str) else list(data)
    looks: dict[str, Look] = {}
    with progress("looking inside", len(paths) * len(names), "instruments") as bar:
        for path in paths:
            seen = look_at(path, texts, fit=fit, thorough=thorough, seed=seed, device=device, notify=notify)
            column = seen.name if seen.name not in looks else str(path)
            looks[column] = _look(seen, names, bar)
    return _written(looks, target, compare_page(looks))


def look_through(
    path: str | Path,
    only: Sequence[str] = (),
    *,
    data: str | Sequence[str] = (),
    fit: Sequence[str] = (),
    thorough: bool = False,
    output: str | Path | None = None,
    seed: int = 0,
    device: str = "auto",
    notify: Say = print_line,
) -> Across:
    """Look inside the checkpoints of a run, and write their comparable figures against the step into one page, with a
    JSON file beside it. Raises ConfigError for a model that belongs to no run, and CheckpointError for a run with fewer
    than two checkpoints."""
    run = run_of(path)
    if run is None:
        raise ConfigError(f"{path} belongs to no run, so it has no earlier checkpoints", "name a run")
    steps = run.steps()
    if len(steps) < 2:
        raise CheckpointError(
            f"{run.path} keeps {len(steps)} checkpoint, and a curve needs two",
            "train with more of them: train.checkpoint_steps=100 train.keep_checkpoints=20",
        )
    if not thorough and len(steps) > MOST_STEPS:
        steps = [steps[round(place * (len(steps) - 1) / (MOST_STEPS - 1))] for place in range(MOST_STEPS)]
    names = comparing(only)
    target = run.path / LENS_EVOLVE if output is None else page_file(output)
    texts = [data] if isinstance(data, str) else list(data)
    looks: dict[int, Look] = {}
    with progress("looking inside", len(steps) * len(names), "instruments") as bar:
        for step in steps:
            seen = look_at(
                run.checkpoint(step), texts, fit=fit, thorough=thorough, seed=seed, device=device, notify=notify
            )
            looks[step] = _look(seen, names, bar)
    html = evolve_page(run.path.name, looks)
    return _written({str(step): look for step, look in looks.items()}, target, html)


def _look(seen: Seen, names: Sequence[str], bar: Any) -> Look:
    def begins(name: str) -> None:
        bar.describe(f"{seen.name}: {name}")

    return measure(seen.subject, seen.name, seen.facts, seen.key, names, begins, bar.advance)


def _written(looks: Mapping[str, Look], page: Path, html: str) -> Across:
    across = Across(roles(looks), list(looks), page, page.with_suffix(".json"))
    write_text(page, html)
    write_json(across.figures, across.as_dict())
    return across
