"""Findings: whether a figure beats its control, and a figure with its control as they stand side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lilliput.lens.instrument import Compared

Figure = Mapping[str, Any]
"""A mean with its interval: {"mean", "low", "high"}; None where there are no values."""


def beats(figure: Figure, control: Figure) -> bool:
    """Return whether the interval of a figure lies wholly above that of its control. A figure without values does
    not beat, and is not beaten."""
    low, high = figure.get("low"), control.get("high")
    return low is not None and high is not None and low > high


def compared(figure: Figure, control: Figure | float | None = None) -> Compared:
    """Return a figure with its control as they stand side by side. A missing value is NaN."""
    beside = control.get("mean") if isinstance(control, Mapping) else control
    value = figure.get("mean")
    return Compared(float("nan") if value is None else value, beside, figure.get("low"), figure.get("high"))
