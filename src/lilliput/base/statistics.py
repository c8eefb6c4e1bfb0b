"""The certainty of a mean: scores beside chance, bootstrap intervals, Student's t and Welch's test for few seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from statistics import fmean, variance

import numpy as np

from lilliput.base import seeds
from lilliput.base.errors import DataError, ModelError

Z = 1.96
"""95% of a normal distribution lie within this many standard deviations of its mean."""
TAIL = 0.025
"""A score differs from chance where guessing reaches it with less than this probability, in each direction: 5% in
all."""
FEWEST = 6
"""A mean of fewer items is never called different from chance. Five guesses between two answers are all right more
often than `TAIL`, and where chance is near 0 a single item would decide."""
DRAWS = 1 << 20
"""Random places that a bootstrap holds at once."""
CONFIDENCE = 0.95
SURE = 5
"""The fewest seeds on each side of a finding; a difference of fewer is an observation."""
NODES = 100
"""Of the quadrature in `t_outside`."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """The mean of one score an item, with the chance score beside it.

    stderr   sample standard deviation / sqrt(items); NaN for a single item
    chance   expected score of a model that guesses
    verdict  'above chance', 'below chance' or 'indistinguishable from chance' (see `estimate`)
    """

    score: float
    stderr: float
    chance: float
    items: int
    verdict: str


def estimate(scores: Sequence[float], chances: Sequence[float], graded: bool = False) -> Estimate:
    """Return mean, standard error and verdict of `scores`, (items,), beside `chances`, (items,), the expected score of
    guessing on each item.

    Scores of right and wrong differ from chance where a guesser gets as many items right, or as few, less often than
    `TAIL`, by the exact binomial distribution at the mean chance. Ties count against the difference. The mean also has
    to be 1.96 of its standard errors away from chance, because a chance of 0 is often only nearly 0. The mean chance
    makes the test stricter where the items' chances differ (Hoeffding 1956).

    `graded` scores are degrees, such as F1. They differ from chance where the 95% bootstrap interval of score minus
    chance, item by item, excludes 0. Fewer than `FEWEST` items never differ.

    Raises ModelError for a score that is not a number, and DataError without scores."""
    values = np.asarray(scores, dtype=np.float64)
    if not len(values):
        raise DataError("there is no item to score")
    if not np.isfinite(values).all():
        raise ModelError(
            f"{int((~np.isfinite(values)).sum())} of {len(values)} scores are not numbers",
            "the model's weights are damaged or its training diverged; evaluate an earlier checkpoint",
        )
    guesses = np.asarray(chances, dtype=np.float64)
    stderr = float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else math.nan
    differs = len(values) >= FEWEST and (_paired(values, guesses) if graded else _counted(values, guesses, stderr))
    side = "above chance" if values.mean() > guesses.mean() else "below chance"
    verdict = side if differs else "indistinguishable from chance"
    return Estimate(float(values.mean()), stderr, float(guesses.mean()), len(values), verdict)


def _counted(values: np.ndarray, guesses: np.ndarray, stderr: float) -> bool:
    total, chance = float(values.sum()), float(guesses.mean())
    if abs(total / len(values) - chance) <= Z * stderr:
        return False
    # Ties share a point, so a sum may be a fraction with a rounding error, which is removed before rounding up or down.
    above, below = math.floor(total + 1e-9), math.ceil(total - 1e-9)
    wrong = len(values) - below
    return at_least(above, len(values), chance) <= TAIL or at_least(wrong, len(values), 1 - chance) <= TAIL


def _paired(values: np.ndarray, guesses: np.ndarray) -> bool:
    low, high = interval((values - guesses).tolist())
    return low > 0 or high < 0


def at_least(right: int, items: int, chance: float) -> float:
    """Return the probability that a guesser gets `right` or more of `items`, each with probability `chance`: the upper
    tail of a binomial distribution, summed term by term. Example: both of 2 items at chance 1/2 give 1/4."""
    if right <= 0 or chance >= 1:
        return 1.0
    if chance <= 0:
        return 0.0
    logs = np.concatenate(([0.0], np.cumsum(np.log(np.arange(1, items + 1)))))  # logs[n] = log(n!)
    got = np.arange(right, items + 1)
    ways = logs[items] - logs[got] - logs[items - got]
    return min(1.0, float(np.exp(ways + got * math.log(chance) + (items - got) * math.log1p(-chance)).sum()))


def share(values: Sequence[float], right: Sequence[int]) -> float:
    """Return 1 where the largest of `values` is at one of the places `right`, else 0. Where several values tie for the
    largest, return the share of them that is right: 1/2 for one of two. NaN where a value is NaN."""
    if any(math.isnan(value) for value in values):
        return math.nan
    best = max(values)
    tied = [i for i, value in enumerate(values) if value == best]
    return sum(i in right for i in tied) / len(tied)


def interval(values: Sequence[float], seed: int = 0, rounds: int = 2000) -> tuple[float, float]:
    """Return the 95% interval of the mean by bootstrap over the values (Efron and Tibshirani 1993, percentiles), the
    same for the same values and seed. Raises DataError without values."""
    if not len(values):
        raise DataError("there is no value to take an interval of")
    data = np.asarray(values, dtype=np.float64)
    rng, step = seeds.generator(seed, "bootstrap"), max(1, DRAWS // len(data))
    sizes = [min(step, rounds - start) for start in range(0, rounds, step)]
    means = np.concatenate([data[rng.integers(0, len(data), (size, len(data)))].mean(axis=1) for size in sizes])
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean with the bounds of its interval; `margin` is half the interval, None for a single value."""

    mean: float
    margin: float | None
    count: int


@dataclass(frozen=True, slots=True)
class Difference:
    """Mean of the first less mean of the second, half its interval, and the two-sided p of no difference."""

    difference: float
    margin: float
    degrees: float
    p: float


def mean_of(values: Sequence[float]) -> Mean:
    """The mean of independent values with its 95% interval by Student's t."""
    count = len(values)
    if count < 2:
        return Mean(fmean(values), None, count)
    return Mean(fmean(values), t_quantile(count - 1) * math.sqrt(variance(values) / count), count)


def welch(first: Sequence[float], second: Sequence[float]) -> Difference | None:
    """Welch's t-test (Biometrika 34, 1947) on two samples of normal values whose variances may differ. None for fewer
    than two values on a side, or no spread on either side."""
    if min(len(first), len(second)) < 2:
        return None
    parts = [variance(values) / len(values) for values in (first, second)]
    error = math.sqrt(sum(parts))
    if error == 0:
        return None
    degrees = sum(parts) ** 2 / sum(
        part**2 / (len(values) - 1) for part, values in zip(parts, (first, second), strict=True)
    )
    difference = fmean(first) - fmean(second)
    return Difference(difference, t_quantile(degrees) * error, degrees, t_outside(abs(difference) / error, degrees))


def p_of_mean(values: Sequence[float]) -> float:
    """Return the two-sided p of a mean of 0 by Student's one-sample t, for example of paired differences. 1 for fewer
    than two values, and where all values are 0; 0 where all are the same other value."""
    if len(values) < 2:
        return 1.0
    mean, error = fmean(values), math.sqrt(variance(values) / len(values))
    if error == 0:
        return float(mean == 0)
    return t_outside(abs(mean) / error, len(values) - 1)


def holm(ps: Sequence[float]) -> list[float]:
    """Return the p values of several tests, adjusted so that the chance of any false finding among them stays below
    their level (Holm 1979): the smallest p times the number of tests, the next times one less, and never falling.
    Example: [0.01, 0.04, 0.03] gives [0.03, 0.06, 0.06]."""
    adjusted, least = [0.0] * len(ps), 0.0
    for rank, place in enumerate(sorted(range(len(ps)), key=lambda i: ps[i])):
        least = max(least, min(1.0, ps[place] * (len(ps) - rank)))
        adjusted[place] = least
    return adjusted


def t_outside(t: float, degrees: float) -> float:
    """P(|T| > t) of Student's t with `degrees` >= 1 degrees of freedom.

    With t = sqrt(degrees) tan(angle) the density is a power of the cosine, smooth and bounded, so that Gauss-Legendre
    quadrature is exact to rounding for the few degrees that seeds give."""
    limit = math.atan(t / math.sqrt(degrees))
    nodes, weights = _quadrature()
    # From the far end, where a small tail would be lost in 1 - P(inside).
    angles = limit + (math.pi / 2 - limit) * (nodes + 1) / 2
    integral = float((np.cos(angles) ** (degrees - 1)) @ weights) * (math.pi / 2 - limit) / 2
    log_scale = math.lgamma((degrees + 1) / 2) - math.lgamma(degrees / 2) - 0.5 * math.log(math.pi)
    return min(1.0, 2 * math.exp(log_scale) * integral)


@cache
def _quadrature() -> tuple[np.ndarray, np.ndarray]:
    return np.polynomial.legendre.leggauss(NODES)


def t_quantile(degrees: float, confidence: float = CONFIDENCE) -> float:
    """t with P(|T| <= t) = `confidence`, by bisection."""
    low, high = 0.0, 1.0
    while t_outside(high, degrees) > 1 - confidence:
        low, high = high, 2 * high
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if t_outside(middle, degrees) > 1 - confidence else (low, middle)
    return (low + high) / 2


def wilson(right: int, items: int, z: float = Z) -> tuple[float, float]:
    """Return the 95% interval of a share of `right` among `items` (Wilson 1927), which stays within 0 and 1 and has a
    width for shares of 0 and 1 too. Raises DataError without items."""
    if items < 1:
        raise DataError("there is no item to take a share of")
    share, square = right / items, z * z
    middle = (share + square / (2 * items)) / (1 + square / items)
    half = z / (1 + square / items) * math.sqrt(share * (1 - share) / items + square / (4 * items * items))
    return max(0.0, middle - half), min(1.0, middle + half)


def calibration_error(confidences: Sequence[float], right: Sequence[bool], bins: int = 10) -> float:
    """Return the expected calibration error (Naeini et al. 2015): the mean distance of confidence and share of right
    answers, over `bins` equal parts of 0 to 1, weighted by the answers in each. 0: a confidence of 0.8 is right in 8 of
    10 answers. Raises DataError without answers."""
    if not len(confidences):
        raise DataError("there is no answer to take a calibration error of")
    sure, hits = np.asarray(confidences, dtype=np.float64), np.asarray(right, dtype=np.float64)
    place = np.minimum((sure * bins).astype(int), bins - 1)
    gaps = [abs(float(sure[place == number].sum() - hits[place == number].sum())) for number in range(bins)]
    return sum(gaps) / len(sure)
