"""Bands of losses: the least and the greatest figure that the runs of a recipe had at each point of their budget.

`benchmarks/bands.py` makes the file from finished runs. It lies beside the shipped recipe as NAME.bands.json."""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from lilliput.base.config import Config, validate
from lilliput.base.reading import read_object

FREE = {
    "": ("name", "seed", "device"),
    "train": (
        "seconds",  # as long as steps are used up no later than the clock: see Bands.place
        *("threads", "precision", "compile", "micro_batch_tokens", "activation_checkpointing"),
        *("checkpoint_steps", "checkpoint_seconds", "keep_checkpoints", "early_checkpoints", "trackers"),
        *("watts", "dollars_per_hour", "grams_co2_per_kwh"),
    ),
    "evaluate": (
        *("final_tokens", "baselines", "samples", "prompts", "sample_tokens", "sample_temperature"),
        *("heroes", "final_heroes", "tasks", "task_data", "task_items", "watch"),
    ),
}
"""The keys of a recipe, by section, that a run may change and keep its band: what computes the run, what is saved, and
what is measured beside the loss. Every other key decides, keys of later versions too."""
NEIGHBOURS = 2
"""Points on each side whose widths count in the spread of a point: the width of few runs is itself uncertain."""
AHEAD = 0.02
"""Share of the budget by which a run may be further than the band's runs were after the same tokens. A clock that is
further ahead lowers the learning rate earlier, and the losses of so many tokens are then lower."""
ROUNDING = 1e-3
"""Share of the tokens by which a run may lie outside the measured points, since points are rounded to tokens."""

Range = tuple[float, float]
Values = dict[str, Any]


class Point(Config):
    """The figures of all runs after so many training tokens."""

    progress: float = Field(gt=0, le=1, description="share of the whole budget")
    tokens: int = Field(gt=0, description="training tokens, at which figures are interpolated")
    training: Range = Field(description="least and greatest figure of the training batches")
    validation: Range | None = Field(
        default=None,
        description="the same of the validation text; null: no evaluation near this point",
    )


class Bands(Config):
    """The file of one recipe."""

    name: str = Field(description="the shipped recipe")
    recipe: Values = Field(description="its values that decide the losses, all of them, as they resolved")
    recipe_sha256: str = Field(description="the hash of these values")
    texts: tuple[str, ...] = Field(description="fingerprints of the sources, in order")
    seeds: tuple[int, ...] = Field(min_length=2, description="the seeds of the runs, one a run")
    training: str = Field(description="name of the training figure in metrics.jsonl")
    validation: str = Field(description="name of the validation figure")
    versions: Values = Field(description="what computed the runs")
    points: tuple[Point, ...] = Field(min_length=2, description="by rising tokens")

    @model_validator(mode="after")
    def _holds_together(self) -> Bands:
        if hash_of(self.recipe) != self.recipe_sha256:
            raise ValueError("the recipe's values are not the ones of recipe_sha256: measure again, and edit nothing")
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError("a seed counts once")
        tokens = [point.tokens for point in self.points]
        if tokens != sorted(set(tokens)):
            raise ValueError("the points' tokens do not rise")
        if any(low > high for _, (low, high) in self._ranges("training") + self._ranges("validation")):
            raise ValueError("a least figure is above the greatest")
        return self

    @property
    def runs(self) -> int:
        return len(self.seeds)

    @property
    def reach(self) -> tuple[int, int]:
        """The tokens of the first and the last point."""
        return self.points[0].tokens, self.points[-1].tokens

    def progress(self, tokens: float) -> float | None:
        """The share of the budget that the runs had used after so many tokens; None outside the measured points."""
        first, last = self.reach
        if not first * (1 - ROUNDING) <= tokens <= last * (1 + ROUNDING):
            return None
        return between([(point.tokens, point.progress) for point in self.points], tokens)

    def follows(self, tokens: float, progress: float) -> bool:
        """Whether a run that has used this share of its budget is where the runs were after so many tokens."""
        there = self.progress(tokens)
        return there is not None and abs(progress - there) <= AHEAD

    def place(self, tokens: float, progress: float, training: float | None, validation: float | None) -> Place | None:
        """Return where a run's figures lie beside the band after so many tokens, with `progress` of its budget used.
        None outside the measured points, for a run that does not follow them, and without any figure."""
        if not self.follows(tokens, progress):
            return None
        figures = (("train", "training", training), ("validation", "validation", validation))
        rows = (self._row(label, key, tokens, value) for label, key, value in figures if value is not None)
        return Place(self.runs, found) if (found := tuple(filter(None, rows))) else None

    def _ranges(self, key: str) -> list[tuple[int, Range]]:
        """Tokens and range of every point that has this figure."""
        pairs = ((point.tokens, getattr(point, key)) for point in self.points)
        return [(tokens, found) for tokens, found in pairs if found is not None]

    def _row(self, label: str, key: str, tokens: float, value: float) -> Row | None:
        measured = self._ranges(key)
        if len(measured) < 2 or tokens < measured[0][0] * (1 - ROUNDING):
            return None
        low, high = (between([(place, each[side]) for place, each in measured], tokens) for side in (0, 1))
        after = min(max(bisect_left([place for place, _ in measured], tokens), 1), len(measured) - 1)
        ranges = [each for _, each in measured]
        near = ranges[max(0, after - NEIGHBOURS) : after + NEIGHBOURS]
        width = sum(top - bottom for bottom, top in near) / len(near)
        return Row(label, low, high, value, word(low, high, value, width, self.runs))


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of a run beside the band; `word` is as usual, higher than usual or lower than usual."""

    label: str
    low: float
    high: float
    value: float
    word: str


@dataclass(frozen=True, slots=True)
class Place:
    """A run's figures at one evaluation, beside the figures of so many runs at this point."""

    runs: int
    rows: tuple[Row, ...]

    @property
    def text(self) -> str:
        """The sentence for people.

        >>> Place(5, (Row("train", 0.21, 0.24, 0.31, HIGHER),)).text
        'train 0.210 to 0.240 at this point in 5 runs: yours is higher than usual (train 0.310)'
        """
        ranges = ", ".join(f"{row.label} {row.low:.3f} to {row.high:.3f}" for row in self.rows)
        unusual: dict[str, list[str]] = {}
        for row in self.rows:
            if row.word != USUAL:
                unusual.setdefault(row.word, []).append(f"{row.label} {row.value:.3f}")
        verdict = " and ".join(f"{found} ({', '.join(values)})" for found, values in unusual.items()) or USUAL
        return f"{ranges} at this point in {self.runs} runs: yours is {verdict}"

    def as_dict(self) -> dict[str, Any]:
        """Return JSON values, for summary.json."""
        return {"text": self.text, "runs": self.runs, "figures": [asdict(row) for row in self.rows]}


def between(points: Sequence[tuple[float, float]], x: float) -> float:
    """The value at x on the line between the two neighbours; that of the nearest end outside.

    >>> between([(0, 3.0), (10, 2.0)], 5)
    2.5
    """
    after = min(max(bisect_left(points, (x,)), 1), len(points) - 1)
    (before_x, before), (after_x, value) = points[after - 1], points[after]
    share = min(max((x - before_x) / (after_x - before_x), 0.0), 1.0)
    return before + share * (value - before)


USUAL, HIGHER, LOWER = "as usual", "higher than usual", "lower than usual"


def word(low: float, high: float, value: float, width: float, runs: int) -> str:
    """Judge a figure by the least and the greatest of `runs` others. `width` is the mean width of the band here.

    A further run of the same recipe lies outside the range of n runs in 2 of n + 1 cases. The range is therefore
    widened on each side by 2 * width / (n - 1). Of equal runs with normally distributed figures, about one in twenty
    then lies outside, whatever n is (tests/runs/test_bands.py draws them)."""
    slack = 2 * width / (runs - 1)
    if value > high + slack:
        return HIGHER
    return LOWER if value < low - slack else USUAL


def decisive(values: Mapping[str, Any]) -> Values:
    """Return the values of a whole recipe without the keys that a run may change (FREE)."""
    kept = {key: value for key, value in values.items() if key not in FREE[""]}
    for section, free in FREE.items():
        if section and isinstance(inside := kept.get(section), Mapping):
            kept[section] = {key: value for key, value in inside.items() if key not in free}
    return kept


def hash_of(values: Mapping[str, Any]) -> str:
    """Return the SHA-256 of JSON values, whatever the order of their keys."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def last_place(bands: Bands, progress: float, metrics: Sequence[Mapping[str, Any]]) -> Place | None:
    """Return the place of the last evaluation among the lines of metrics.jsonl, at `progress` of the budget; None where
    it has none."""
    evaluated = [line for line in metrics if line.get(bands.validation) is not None and line.get("tokens")]
    if not evaluated:
        return None
    line = evaluated[-1]
    return bands.place(line["tokens"], progress, line.get(bands.training), line[bands.validation])


def read_bands(path: Path) -> Bands:
    """Read a file of bands. Raises OSError, FileError for bad JSON, and ConfigError for wrong values."""
    return validate(Bands, read_object(path), str(path))


def format_bands(bands: Bands) -> str:
    """Return the file's text: indented JSON, with a point a line."""
    values = bands.model_dump(mode="json")
    points = ",\n".join(f"  {json.dumps(point)}" for point in values.pop("points"))
    return f'{json.dumps(values, indent=1)[:-2]},\n "points": [\n{points}\n ]\n}}\n'
