"""An axis of a chart: round ticks, linear, logarithmic or of time, and the way from values to pixels."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

TIME_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)


def nice_ticks(low: float, high: float, count: int, steps: Sequence[float] | None = None) -> list[float]:
    """Return about `count` round values that cover [low, high]. Their step is 1, 2 or 5 x 10^k, or the
    smallest of `steps` that gives about that many."""
    span = max(high - low, abs(high) * 1e-6, 1e-12)
    rough = span / max(count, 1)
    if steps and rough <= steps[-1]:
        step = next(step for step in steps if step >= rough)
    else:
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def log_ticks(low: float, high: float, count: int) -> list[float]:
    """Return the powers of ten inside [low, high], with 2 and 5 times these where they are few. Where fewer than two
    such values lie inside, return any round values."""
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    inside = [v for e in exponents for m in (1, 2, 5) if low * 0.999 <= (v := m * 10.0**e) <= high * 1.001]
    if len(inside) < 2:
        return [value for value in nice_ticks(low, high, count) if low <= value <= high]
    decades = [value for value in inside if round(math.log10(value), 9).is_integer()]
    return inside if len(inside) <= count + 2 or len(decades) < 2 else decades


class Axis:
    """A map from values to pixels. Where `whole`, a linear axis begins and ends on round values, and a logarithmic axis
    spans at least a doubling, so that a small change looks small."""

    def __init__(
        self, values: Iterable[float], log: bool, pixels: tuple[float, float], count: int, time: bool, whole: bool
    ):
        known = list(values) or [1.0]
        low, high = min(known), max(known)
        if not log and 0 < low < high / 10:
            low = 0.0  # an axis from 40k to 5M is harder to read than an axis from 0
        self.log, self.pixels = log, pixels
        if log:
            low, high = (low, high) if high > low else (low / 2, high * 2)
            if whole and high < 2 * low:
                middle = math.sqrt(low * high)
                low, high = middle / math.sqrt(2), middle * math.sqrt(2)
            self.ticks = log_ticks(low, high, count)
        else:
            ticks = nice_ticks(low, high, count, TIME_STEPS if time else None)
            self.ticks = ticks if whole else [tick for tick in ticks if low <= tick <= high]
            low, high = (ticks[0], ticks[-1]) if whole else (low, high)
        self.low, self.high = self._scale(low), self._scale(high)

    def __str__(self) -> str:
        """Return the scale for a page's script: two pixels, then their values (log10 of the values on a log axis)."""
        return f"{self.pixels[0]:g} {self.pixels[1]:g} {self.low:.9g} {self.high:.9g}"

    def _scale(self, value: float) -> float:
        return math.log10(value) if self.log else value

    def pixel(self, value: float) -> float:
        span = self.high - self.low
        share = (self._scale(value) - self.low) / span if span > 0 else 0.5
        return self.pixels[0] + share * (self.pixels[1] - self.pixels[0])
