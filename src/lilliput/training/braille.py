"""A curve as text for a terminal: braille dots in two layers, at a cost that does not grow with the run."""

from __future__ import annotations

import math
from itertools import groupby

from rich.text import Text

STYLES = ("cyan", "bold yellow")
CURVE_BINS = 186  # two dots a column at the widest


class Curve:
    """Means of a series in equal bins of the run's fraction. The cost does not grow with the length of the run."""

    def __init__(self) -> None:
        self.sums: dict[int, tuple[float, int]] = {}
        self.high, self.low = -math.inf, math.inf

    def add(self, fraction: float, value: float | None) -> None:
        if value is None or not math.isfinite(value):
            return
        place = min(int(max(fraction, 0.0) * CURVE_BINS), CURVE_BINS - 1)
        total, count = self.sums.get(place, (0.0, 0))
        self.sums[place] = (total + value, count + 1)
        self.high, self.low = max(self.high, value), min(self.low, value)

    def points(self) -> list[tuple[float, float]]:
        """(fraction, mean) pairs in order."""
        return [(place / CURVE_BINS, total / count) for place, (total, count) in sorted(self.sums.items())]


class Canvas:
    """Braille cells of 2 x 4 dots in two layers. The second layer lies on top."""

    DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))

    def __init__(self, columns: int, rows: int, low: float, high: float):
        self.columns, self.rows, self.low, self.high = columns, rows, low, high
        self.layers: tuple[dict[tuple[int, int], int], ...] = ({}, {})

    def draw(self, curve: Curve, layer: int) -> None:
        """A line through the curve's points."""
        before: tuple[int, int] | None = None
        for fraction, value in curve.points():
            x = round(fraction * (self.columns * 2 - 1))
            share = (self.high - value) / (self.high - self.low) if self.high > self.low else 0.5
            y = round(share * (self.rows * 4 - 1))
            for dot in _line_between(before or (x, y), (x, y)):
                self._dot(*dot, layer)
            before = (x, y)

    def _dot(self, x: int, y: int, layer: int) -> None:
        cell = (y // 4, x // 2)
        self.layers[layer][cell] = self.layers[layer].get(cell, 0) | self.DOTS[x % 2][y % 4]

    def row(self, row: int, plain: bool) -> Text:
        cells = [tuple(layer.get((row, column), 0) for layer in self.layers) for column in range(self.columns)]
        line = Text()
        for style, run in groupby(cells, key=lambda dots: STYLES[1] if dots[1] else STYLES[0] if dots[0] else ""):
            line.append("".join(_cell(under | over, plain) for under, over in run), style)
        return line


def _cell(dots: int, plain: bool) -> str:
    if not dots:
        return " "
    return "*" if plain else chr(0x2800 | dots)


def _line_between(start: tuple[int, int], end: tuple[int, int]) -> list[tuple[int, int]]:
    """Dots from `start` to `end`, both included."""
    count = max(abs(end[0] - start[0]), abs(end[1] - start[1]), 1)
    return [
        (round(start[0] + (end[0] - start[0]) * i / count), round(start[1] + (end[1] - start[1]) * i / count))
        for i in range(count + 1)
    ]
