"""Figures of instruments: a mean with its interval, as JSON and as words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lilliput.base import seeds
from lilliput.base.statistics import interval

ROUNDS = 2000
"""Samples of a bootstrap."""


def mean_figure(values: Sequence[float], seed: int = 0) -> dict[str, Any]:
    """Return the mean of values with the bounds of its 95% bootstrap interval and their number: {"mean", "low", "high",
    "count"}. Values that are no numbers are left out. All are None where no value is left."""
    kept = [float(value) for value in values if math.isfinite(value)]
    if not kept:
        return {"mean": None, "low": None, "high": None, "count": 0}
    low, high = interval(kept, seed)
    return {
        "mean": round(math.fsum(kept) / len(kept), 6),
        "low": round(low, 6),
        "high": round(high, 6),
        "count": len(kept),
    }


def ratio_figure(parts: Sequence[float], wholes: Sequence[float], seed: int = 0) -> dict[str, Any]:
    """Return mean(parts) / mean(wholes) as `mean_figure` does, with the bounds of its 95% interval by bootstrap over
    the pairs of a part and its whole. Equal lists give 1 with an interval from 1 to 1."""
    top, below = np.asarray(parts, dtype=np.float64), np.asarray(wholes, dtype=np.float64)
    drawn = seeds.generator(seed, "bootstrap of a ratio").integers(0, len(top), (ROUNDS, len(top)))
    ratios = top[drawn].mean(1) / np.where(below[drawn].mean(1) == 0, np.nan, below[drawn].mean(1))
    low, high = np.nanpercentile(ratios, [2.5, 97.5])
    mean = float(top.mean() / below.mean())
    return {"mean": round(mean, 6), "low": round(float(low), 6), "high": round(float(high), 6), "count": len(top)}


def figure_text(figure: Mapping[str, Any], digits: int = 2) -> str:
    """Return a figure as text: '1.25 (1.10 to 1.40)', or '-' without values."""
    if figure["mean"] is None:
        return "-"
    # + 0.0 makes -0.0 a plain 0
    mean, low, high = (f"{round(figure[key], digits) + 0.0:.{digits}f}" for key in ("mean", "low", "high"))
    return f"{mean} ({low} to {high})"


def share_text(figure: Mapping[str, Any]) -> str:
    """Return a share as percent: '62% (55% to 70%)', or '-' without values."""
    if figure["mean"] is None:
        return "-"
    return f"{figure['mean']:.0%} ({figure['low']:.0%} to {figure['high']:.0%})"
