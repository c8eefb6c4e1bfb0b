"""Figures of instruments: a mean with its interval, as JSON and as words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from lilliput.base.statistics import interval


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


def figure_text(figure: Mapping[str, Any], digits: int = 2) -> str:
    """Return a figure as text: '1.25 (1.10 to 1.40)', or '-' without values."""
    if figure["mean"] is None:
        return "-"
    return f"{figure['mean']:.{digits}f} ({figure['low']:.{digits}f} to {figure['high']:.{digits}f})"


def share_text(figure: Mapping[str, Any]) -> str:
    """Return a share as percent: '62% (55% to 70%)', or '-' without values."""
    if figure["mean"] is None:
        return "-"
    return f"{figure['mean']:.0%} ({figure['low']:.0%} to {figure['high']:.0%})"
