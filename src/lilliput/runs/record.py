"""RunRecord: the facts of a run folder about its run, read without failing on missing or damaged files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lilliput.base.config import read_yaml
from lilliput.base.errors import CheckpointError, ConfigError
from lilliput.base.reading import read_text
from lilliput.objectives.figure import Figure
from lilliput.objectives.known import figure_of, generates
from lilliput.runs.run_folder import RunFolder
from lilliput.runs.samples_file import Section, parse_samples


@dataclass(frozen=True, slots=True)
class RunRecord:
    """The facts of a run. `problems` has a sentence for each file that is missing or damaged."""

    path: Path
    recipe: dict[str, Any] = field(default_factory=dict)
    recipe_text: str = ""
    metrics: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    samples: list[Section] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, path: Path) -> RunRecord:
        """Raises CheckpointError where there is no run at all."""
        run = RunFolder(path)
        known = (run.recipe, run.metrics, run.summary, run.samples)
        if not any(file.is_file() for file in known):
            raise CheckpointError(f"there is no run in {path}: none of {', '.join(f.name for f in known)} is there")
        problems: list[str] = []
        return cls(
            path=path,
            recipe=_recipe(run.recipe, problems),
            recipe_text=_text(run.recipe, problems),
            metrics=_metrics(run, problems),
            summary=_summary(run, problems),
            samples=parse_samples(_text(run.samples, problems)),
            problems=problems,
        )

    @property
    def figure(self) -> Figure:
        """The figure by which the run is judged, from its summary or its recipe."""
        return figure_of({**self.recipe, **self.summary})

    @property
    def generates(self) -> bool:
        """Whether the run's model generates text, from its summary or its recipe."""
        return generates({**self.recipe, **self.summary})

    @property
    def name(self) -> str:
        return str(self.recipe.get("name") or self.path.resolve().name)

    def last(self, key: str) -> Any:
        """Return the summary's value, else the last value in the metrics, else None."""
        if self.summary.get(key) is not None:
            return self.summary[key]
        return next((line[key] for line in reversed(self.metrics) if line.get(key) is not None), None)

    def number(self, key: str) -> float | None:
        """`last(key)` where that is a finite number."""
        return as_number(self.last(key))

    def points(self, x: str, y: str) -> list[tuple[float, float]]:
        """(x, y) of every metrics line that holds both."""
        pairs = ((as_number(line.get(x)), as_number(line.get(y))) for line in self.metrics)
        return [(a, b) for a, b in pairs if a is not None and b is not None]

    def baselines(self) -> list[tuple[str, float]]:
        """Names and bits per byte, the weakest first."""
        given = self.summary.get("baselines")
        pairs = given.items() if isinstance(given, dict) else ()
        known = [(str(name), number) for name, value in pairs if (number := as_number(value)) is not None]
        return sorted(known, key=lambda pair: -pair[1])

    def validation_at(self, step: int) -> float | None:
        """The run's figure on the validation split, at the last evaluation up to `step`."""
        known = [value for at, value in self.points("step", self.figure.validation) if at <= step]
        return known[-1] if known else None


def read_recipe(run: RunFolder) -> dict[str, Any]:
    """The run's resolved recipe; empty where it is missing or damaged."""
    return _recipe(run.recipe, [])


def as_number(value: Any) -> float | None:
    """Return a finite number as float; None for any other value."""
    usable = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if usable else None


def spread(sections: Sequence[Section], count: int) -> list[Section]:
    """At most `count` sections from the first to the last, close together at the start, where most is learnt."""
    if len(sections) <= count:
        return list(sections)
    later = sections[1:]
    ratio = max(later[-1].step, 2) / max(later[0].step, 1)
    chosen = [sections[0]]
    for i in range(count - 1):
        wanted = max(later[0].step, 1) * ratio ** (i / max(count - 2, 1))
        left = [section for section in later if section not in chosen]
        chosen.append(min(left, key=lambda section: abs(math.log(max(section.step, 1) / wanted))))
    return sorted(chosen, key=lambda section: section.step)


def _text(path: Path, problems: list[str]) -> str:
    if not path.is_file():
        return ""
    try:
        return read_text(path)
    except (OSError, ValueError) as error:
        problems.append(f"{path.name} cannot be read: {error}")
        return ""


def _recipe(path: Path, problems: list[str]) -> dict[str, Any]:
    if not path.is_file():
        problems.append(f"{path.name} is missing")
        return {}
    try:
        return read_yaml(path)
    except ConfigError as error:
        problems.append(error.message)
        return {}


def _metrics(run: RunFolder, problems: list[str]) -> list[dict[str, Any]]:
    if not run.metrics.is_file():
        problems.append(f"{run.metrics.name} is missing")
        return []
    try:
        if damaged := run.damaged_metrics():
            problems.append(f"{run.metrics.name}: line {', '.join(map(str, damaged[:6]))} is damaged and left out")
        return run.read_metrics()
    except OSError as error:
        problems.append(f"{run.metrics.name} cannot be read: {error}")
        return []


def _summary(run: RunFolder, problems: list[str]) -> dict[str, Any]:
    if not run.summary.is_file():
        problems.append(f"{run.summary.name} is missing: the run has not ended, or was cut off")
        return {}
    try:
        return run.read_summary()
    except CheckpointError as error:
        problems.append(error.message)
        return {}
