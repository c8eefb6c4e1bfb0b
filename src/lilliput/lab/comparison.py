"""Comparison: several runs as plain numbers, with seeds grouped, differences tested and speeds of convergence."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, pairwise
from pathlib import Path
from statistics import fmean
from typing import Any

from lilliput.base.chart import Point
from lilliput.base.config import flatten, validate
from lilliput.base.errors import CheckpointError, ConfigError
from lilliput.base.statistics import Difference, Mean, mean_of, welch
from lilliput.evaluation.config import EvaluateConfig
from lilliput.model.config import ModelConfig
from lilliput.model.counts import flops_per_token
from lilliput.objectives.figure import BITS, Figure
from lilliput.runs.record import RunRecord, as_number

# Keys in which two runs of one recipe may differ.
OWN = ("name", "seed")
LEVEL_SHARES = (0.5, 0.25, 0.1, 0.03)


@dataclass(frozen=True)
class Compared:
    """A run to compare. `label` is its name, or its folder where two runs share a name."""

    record: RunRecord
    label: str

    @cached_property
    def figure(self) -> Figure:
        """The figure by which the run is judged: bits per byte of a model of text."""
        return self.record.figure

    @property
    def score(self) -> float | None:
        """The run's figure on the validation text at the end, or at the last evaluation of a run that has not ended."""
        return self.record.number(self.figure.validation)

    @property
    def ended(self) -> bool:
        """Whether `score` is the final one."""
        return self.record.summary.get(self.figure.validation) is not None

    @property
    def text(self) -> tuple[Any, ...]:
        """Return the identity of the scored text: runs with an equal value were scored on the same text. A part of the
        text is cut by tokens, so it differs with the tokenizer and with the number of tokens. Bits per byte alone are
        comparable across tokenizers: any other figure is of the tokenizer's own tokens."""
        evaluate, data = self.record.recipe.get("evaluate") or {}, _data(self.record)
        part = evaluate.get("final_tokens") if self.ended else evaluate.get("tokens", EvaluateConfig().tokens)
        cut = (part, data.get("tokenizer")) if part or self.figure != BITS else None
        return self.ended, _size(self.record, "validation"), cut

    @cached_property
    def flops_per_token(self) -> float | None:
        """Return training FLOPs a token, from the run's summary, or before the run's end from its recipe's model."""
        flops, tokens = (as_number(self.record.summary.get(key)) for key in ("flops", "tokens"))
        if flops and tokens:
            return flops / tokens
        try:
            config = validate(ModelConfig, self.record.recipe.get("model") or {}, str(self.record.path))
        except ConfigError:
            return None
        return float(flops_per_token(config).training)

    def curve(self, x: str) -> list[Point]:
        """Return points of the run's validation figure against 'tokens', 'flops' or 'seconds'."""
        if x != "flops":
            return self.record.points(x, self.figure.validation)
        each = self.flops_per_token
        return [(tokens * each, value) for tokens, value in self.curve("tokens")] if each else []

    def reaches(self, level: float, x: str) -> float | None:
        """Return the first place on `x` where the curve is at `level`, on a straight line between evaluations."""
        for (x0, y0), (x1, y1) in pairwise(self.curve(x)):
            if y0 > level >= y1:
                return x0 + (x1 - x0) * (y0 - level) / (y0 - y1)
        return None


@dataclass(frozen=True)
class Group:
    """Runs of one recipe that differ in their seed alone."""

    name: str
    runs: tuple[Compared, ...]

    @cached_property
    def scored(self) -> list[Compared]:
        """Return the runs that have ended; where no run has ended, all runs that have been evaluated."""
        known = [run for run in self.runs if run.score is not None]
        return [run for run in known if run.ended] or known

    @cached_property
    def scores(self) -> list[float]:
        """Return the final figures, one a seed. Several runs of one seed are no further draws, so their mean counts."""
        seeds: dict[Any, list[float]] = {}
        for run in self.scored:
            assert run.score is not None
            seeds.setdefault(run.record.recipe.get("seed"), []).append(run.score)
        return [fmean(scores) for scores in seeds.values()]

    def same_text(self, other: Group) -> bool:
        """Return whether all runs of both groups were scored on the same text, so that the scores can be compared."""
        return len({run.text for run in (*self.scored, *other.scored)}) < 2

    @cached_property
    def estimate(self) -> Mean | None:
        """The final figure over the seeds."""
        return mean_of(self.scores) if self.scores else None

    def mean(self, key: str) -> float | None:
        """Return the mean over the runs of a number in their summaries, None where a summary lacks the number."""
        known = [value for run in self.runs if (value := run.record.number(key)) is not None]
        return fmean(known) if len(known) == len(self.runs) else None

    def reaches(self, level: float, x: str) -> float | None:
        """Return the mean place where the runs reach `level`; None where a run does not reach it."""
        places = [place for run in self.runs if (place := run.reaches(level, x)) is not None]
        return fmean(places) if len(places) == len(self.runs) else None

    def mean_curve(self, x: str) -> list[Point]:
        """Return the mean of the runs' curves, point by point, up to the end of the shortest curve."""
        rows = zip(*(run.curve(x) for run in self.runs), strict=False)
        return [(fmean(a for a, _ in row), fmean(b for _, b in row)) for row in rows]


class Comparison:
    """Runs in the given order, in groups from the best score to the worst. Raises ConfigError for fewer than two runs,
    for the same run twice and for runs of different figures, and CheckpointError where a folder holds no run or no run
    has been evaluated yet.

    figure  the figure by which every run is judged; lower is better
    """

    def __init__(self, paths: Sequence[Path], levels: Sequence[float] = ()):
        folders = [os.path.realpath(path) for path in paths]
        if len(folders) < 2 or len(set(folders)) < len(folders):
            raise ConfigError(f"{len(set(folders))} different runs to compare", "give two or more runs, each once")
        self.runs = _labelled([RunRecord.read(path) for path in paths])
        self.figure = _figure(self.runs)
        if not any(run.curve("tokens") for run in self.runs):
            raise CheckpointError("none of the runs has been evaluated yet: there is nothing to compare")
        self.groups = sorted(_groups(self.runs), key=lambda group: _or_last(group.estimate))
        self.levels = sorted(levels, reverse=True) if levels else self._levels()

    @cached_property
    def differences(self) -> list[tuple[Group, Group, Difference]]:
        """Return every pair of groups that were scored on the same text and for which Welch's test can be made, the
        worse group first."""
        pairs = ((worse, better) for better, worse in combinations(self.groups, 2) if worse.same_text(better))
        tested = ((worse, better, welch(worse.scores, better.scores)) for worse, better in pairs)
        return [(worse, better, found) for worse, better, found in tested if found is not None]

    @property
    def significant(self) -> float:
        """Return the p below which a difference is significant: 5%, divided by the number of pairs in the table."""
        return 0.05 / max(len(self.differences), 1)

    @cached_property
    def settings(self) -> dict[str, list[Any]]:
        """Return the recipe keys in which the runs differ, the seed included, each with the values of all runs in
        order."""
        recipes = [flatten(run.record.recipe) for run in self.runs]
        keys = dict.fromkeys(key for recipe in recipes for key in recipe if key != "name")
        values = {key: [recipe.get(key) for recipe in recipes] for key in keys}
        return {key: row for key, row in values.items() if any(value != row[0] for value in row)}

    @cached_property
    def notes(self) -> list[str]:
        """Return sentences on facts that make these runs less comparable."""
        doubts = [note for note in (self._texts(), self._parts(), self._curves(), self._machines()) if note]
        return [*doubts, *(f"{run.label}: {problem}." for run in self.runs for problem in run.record.problems)]

    def _levels(self) -> list[float]:
        """Return losses between the first losses and the best final loss: shares of this distance, rounded up to
        0.01."""
        curves = [[value for _, value in run.curve("tokens")] for run in self.runs]
        start, best = min(max(curve) for curve in curves if curve), min(min(curve) for curve in curves if curve)
        return sorted({round(best + share * (start - best) + 0.005, 2) for share in LEVEL_SHARES}, reverse=True)

    def _texts(self) -> str | None:
        sizes = {_size(run.record, "validation") for run in self.runs} - {None}
        return f"Not the same validation text: {' and '.join(sorted(map(str, sizes)))}." if len(sizes) > 1 else None

    def _tokenizers(self) -> int:
        return len({str(found) for run in self.runs if (found := _data(run.record).get("tokenizer"))})

    def _parts(self) -> str | None:
        if len({run.text[2] for run in self.runs if run.ended}) < 2:
            return None
        why = "Different tokenizers" if self._tokenizers() > 1 else "Different parts"
        if self.figure != BITS:
            return f"{why}: the final scores are of other tokens, and are not ranked."
        return (
            f"{why}: the final scores are of parts of the validation text that are cut by tokens, so not of the same "
            "text, and are not ranked. Bits per byte of the whole text can be compared under any tokenizer: train with "
            "evaluate.final_tokens=null."
        )

    def _curves(self) -> str | None:
        sizes = {flatten(run.record.recipe).get("evaluate.tokens", EvaluateConfig().tokens) for run in self.runs}
        if self._tokenizers() < 2 and len(sizes) < 2:
            return None
        return "Curves, and where they reach a loss, are of parts of the validation text that differ in length."

    def _machines(self) -> str | None:
        machines = {
            f"{summary['device']}, {summary.get('threads')} threads"
            for run in self.runs
            if (summary := run.record.summary).get("device")
        }
        return f"Speed and wall time are of {' and of '.join(sorted(machines))}." if len(machines) > 1 else None


def _labelled(records: list[RunRecord]) -> list[Compared]:
    names = [record.name for record in records]
    return [Compared(record, record.name if names.count(record.name) == 1 else str(record.path)) for record in records]


def _figure(runs: list[Compared]) -> Figure:
    """Return the figure of all runs. Raises ConfigError where they have several."""
    named: dict[str, list[Compared]] = {}
    for run in runs:
        named.setdefault(run.figure.validation, []).append(run)
    if len(named) > 1:
        sides = (f"{', '.join(run.label for run in some)} by {some[0].figure.label}" for some in named.values())
        raise ConfigError(
            f"these runs are judged by different figures: {'; '.join(sides)}",
            "compare runs of one objective, or look at each alone: lilliput report RUN",
        )
    return runs[0].figure


def _groups(runs: list[Compared]) -> list[Group]:
    """Group the runs by recipe and data. A run without a recipe is a group of its own. The data of a run that has not
    ended are not known, so it is grouped by its recipe alone."""
    found: dict[Any, list[Compared]] = {}
    for run in runs:
        recipe = {key: value for key, value in run.record.recipe.items() if key not in OWN}
        key = json.dumps(recipe, sort_keys=True, default=str) if recipe else run.label
        data = json.dumps(_data(run.record), sort_keys=True, default=str) if _data(run.record) else None
        same = [known for known in found if known[0] == key and (data is None or known[1] in (None, data))]
        place = same[0] if same else (key, data)
        members = found.pop(place, [])
        found[(key, place[1] or data)] = [*members, run]
    names = [_common([run.label for run in members]) for members in found.values()]
    return [
        Group(name if name and names.count(name) == 1 else members[0].label, tuple(members))
        for name, members in zip(names, found.values(), strict=True)
    ]


def _common(labels: list[str]) -> str:
    """Return the common beginning of the labels, without a trailing 'seed' and the first digits of its number. A single
    label is returned unchanged."""
    first, last = min(labels), max(labels)
    same = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    digits = r"\d*" if all(re.match(r"\d*$", label[same:]) for label in labels) else ""
    return first if first == last else re.sub(rf"[-_. ]*(seed|s)?[-_. ]*{digits}$", "", first[:same])


def _or_last(found: Mean | None) -> float:
    return float("inf") if found is None else found.mean


def _data(record: RunRecord) -> dict[str, Any]:
    data = record.summary.get("data")
    return data if isinstance(data, dict) else {}


def _size(record: RunRecord, split: str) -> str | None:
    size = _data(record).get(split)
    return f"{size.get('documents')} documents of {size.get('bytes')} bytes" if isinstance(size, dict) else None
