"""How sure one is of a mean and of a difference of two, from a few seeds: Student's t, and Welch's test."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from statistics import fmean, variance

import numpy as np

CONFIDENCE = 0.95
SURE = 5
"""The fewest seeds on each side of a finding; a difference of fewer is an observation."""
NODES = 100


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean with the bounds of its interval; `margin` is half of that, None for a single value."""

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


def estimate(values: Sequence[float]) -> Estimate:
    """The mean of independent values with its 95% interval by Student's t."""
    count = len(values)
    if count < 2:
        return Estimate(fmean(values), None, count)
    return Estimate(fmean(values), t_quantile(count - 1) * math.sqrt(variance(values) / count), count)


def welch(first: Sequence[float], second: Sequence[float]) -> Difference | None:
    """Welch's t-test (Biometrika 34, 1947): two samples of normal values whose variances may differ. None where it
    cannot be made: fewer than two values on a side, or no spread in either."""
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
