"""How sure a mean is: standard error, what guessing would give, intervals by bootstrap."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lilliput.base import seeds
from lilliput.base.errors import DataError, ModelError

Z = 1.96
"""Standard deviations on both sides of a mean that hold 95% of a normal distribution."""
FEWEST = 20
"""Items below which no mean is called different from chance: with so few, the normal approximation does not hold and,
where chance is near 0 or 1, a single item decides."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """The mean of one score an item, beside what guessing gives.

    stderr   sample standard deviation / sqrt(items); NaN for a single item
    chance   expected score of a model that guesses
    verdict  'above chance', 'below chance', or 'indistinguishable from chance': within 1.96 standard errors of it,
             where the standard error is the larger of the sample's and that of guessing itself, or fewer
             items than `FEWEST`, whatever they score
    """

    score: float
    stderr: float
    chance: float
    items: int

    @property
    def verdict(self) -> str:
        if self.items < FEWEST:
            return "indistinguishable from chance"
        spread = max(self.stderr if math.isfinite(self.stderr) else 0.0, self.guessing)
        if abs(self.score - self.chance) <= Z * spread:
            return "indistinguishable from chance"
        return "above chance" if self.score > self.chance else "below chance"

    @property
    def guessing(self) -> float:
        """Standard error of a guesser who is right with probability `chance`: a sample of items that all went one way
        has a standard error of 0, which says nothing."""
        return math.sqrt(max(0.0, self.chance * (1 - self.chance)) / self.items)


def estimate(scores: Sequence[float], chances: Sequence[float]) -> Estimate:
    """Mean and standard error of `scores`, one an item. Raises ModelError for a score that is not a number and
    DataError where there is none."""
    values = np.asarray(scores, dtype=np.float64)
    if not len(values):
        raise DataError("there is no item to score")
    if not np.isfinite(values).all():
        raise ModelError(
            f"{int((~np.isfinite(values)).sum())} of {len(values)} scores are not numbers",
            "the model's weights are damaged or its training diverged; evaluate an earlier checkpoint",
        )
    stderr = float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else math.nan
    return Estimate(float(values.mean()), stderr, float(np.mean(chances)), len(values))


def share(values: Sequence[float], right: Sequence[int]) -> float:
    """1 where the largest of `values` is one that is right, 0 where it is not; between k that tie for the largest,
    the share of them that is right (1/2 for one of two). NaN where a value is NaN."""
    if any(math.isnan(value) for value in values):
        return math.nan
    best = max(values)
    tied = [i for i, value in enumerate(values) if value == best]
    return sum(i in right for i in tied) / len(tied)


def interval(values: Sequence[float], seed: int = 0, rounds: int = 2000) -> tuple[float, float]:
    """The 95% interval of the mean by bootstrap over the values (Efron and Tibshirani 1993, percentiles), the same for
    the same values and seed. Raises DataError where there is none."""
    if not len(values):
        raise DataError("there is no value to take an interval of")
    data = np.asarray(values, dtype=np.float64)
    draws = seeds.generator(seed, "bootstrap").integers(0, len(data), (rounds, len(data)))
    low, high = np.percentile(data[draws].mean(axis=1), [2.5, 97.5])
    return float(low), float(high)
