"""A small line chart as SVG: nice ticks, log axes, dashed levels, marks, stars, a legend; text is always escaped.

Colours come from CSS variables, so that a page can have them follow its light or dark mode; `STYLE` holds the rules and
their light defaults, and belongs once into every page or picture that shows a chart.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from lilliput.base.console import duration, number
from lilliput.base.html import escape

Point = tuple[float, float]

STYLE = """
.chart text {
  font: 12px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: var(--muted, #6e6a60);
}
.chart .title { font-weight: 600; font-size: 13px; fill: var(--ink, #23211c); }
.chart .grid { stroke: var(--line, #e5e0d4); stroke-width: 1; }
.chart .axis { stroke: var(--muted, #6e6a60); stroke-width: 1; }
.chart .level { stroke: var(--muted, #6e6a60); stroke-width: 1.2; stroke-dasharray: 5 4; }
.chart .halo { paint-order: stroke; stroke: var(--paper, #fffdf8); stroke-width: 4px; stroke-linejoin: round; }
.chart .line { fill: none; stroke-width: 2.2; stroke-linejoin: round; stroke-linecap: round; }
.chart .thin { stroke-width: 1.3; opacity: 0.75; }
.chart .s0 { stroke: var(--s0, #0f766e); } .chart .f0 { fill: var(--s0, #0f766e); }
.chart .s1 { stroke: var(--s1, #c2711c); } .chart .f1 { fill: var(--s1, #c2711c); }
.chart .s2 { stroke: var(--s2, #4f5fb8); } .chart .f2 { fill: var(--s2, #4f5fb8); }
.chart .s3 { stroke: var(--s3, #a8456a); } .chart .f3 { fill: var(--s3, #a8456a); }
.chart .s4 { stroke: var(--s4, #5b7f2b); } .chart .f4 { fill: var(--s4, #5b7f2b); }
.chart .s5 { stroke: var(--s5, #8a5a9e); } .chart .f5 { fill: var(--s5, #8a5a9e); }
.chart .s6 { stroke: var(--s6, #2b7fa8); } .chart .f6 { fill: var(--s6, #2b7fa8); }
.chart .s7 { stroke: var(--s7, #8c6d1f); } .chart .f7 { fill: var(--s7, #8c6d1f); }
.chart .mark { stroke: var(--paper, #fffdf8); stroke-width: 2; }
.chart .star { stroke: var(--paper, #fffdf8); stroke-width: 1.2; }
.chart .badge { font-weight: 700; font-size: 11px; fill: var(--paper, #fffdf8); }
"""
COLOURS = 8
RAMP = ((68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (222, 194, 38))
"""RGB stops of a scale from dark violet to yellow that rises evenly in lightness (after viridis)."""
DRAWN_POINTS = 400
CHARACTER_WIDTH = 6.4  # of 12 px sans serif, rather more than less
TIME_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)


@dataclass(frozen=True, slots=True)
class Series:
    """One line. `colour` counts from 0; `thin` draws it quietly; `dots` shows each point, `line` joins them. `shade`
    from 0 to 1 takes the place of `colour` where lines are ordered, such as by budget. Without a name it has no place
    in the legend."""

    name: str
    points: Sequence[Point]
    colour: int = 0
    thin: bool = False
    dots: bool = False
    line: bool = True
    shade: float | None = None


@dataclass(frozen=True, slots=True)
class Level:
    """A dashed line: horizontal, such as a baseline, or vertical at a value of x."""

    name: str
    value: float


@dataclass(frozen=True, slots=True)
class Mark:
    """A point worth pointing at, with a short badge ('1') and a longer tooltip; a star where the badge is empty."""

    x: float
    y: float
    badge: str
    tip: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """What to draw, in the data's own units; `width` and `height` in pixels. Points that are not finite, or not
    positive on a log axis, are left out. `time_x`: x is seconds; `inset`: room at the ends as a chart with marks has,
    for one that stands above or below such a chart."""

    title: str
    series: Sequence[Series]
    x_label: str = ""
    levels: Sequence[Level] = ()
    verticals: Sequence[Level] = ()
    marks: Sequence[Mark] = ()
    log_x: bool = False
    log_y: bool = False
    time_x: bool = False
    width: int = 720
    height: int = 320
    y_text: Callable[[float], str] = field(default=number)
    inset: bool = False

    def svg(self) -> str:
        """The chart as one <svg> element, without STYLE."""
        return _Drawing(self).svg()


def figure(chart: Chart, narrow_height: int = 320) -> str:
    """The chart as a page's figure, drawn twice: for a wide and a narrow screen, since scaled down its text would be
    too small to read. The page's style shows the one that fits."""
    narrow = replace(chart, width=350, height=narrow_height)
    pair = (("wide", chart), ("narrow", narrow))
    drawn = (one.svg().replace('class="chart"', f'class="chart {kind}"', 1) for kind, one in pair)
    return f"<figure>{''.join(drawn)}</figure>"


def thin_out(points: Sequence[Point], limit: int = DRAWN_POINTS) -> list[Point]:
    """At most `limit` points: means of equal groups, since a screen shows no more and a file need not hold more."""
    if len(points) <= limit:
        return list(points)
    bounds = [round(i * len(points) / limit) for i in range(limit + 1)]
    groups = (points[start:stop] for start, stop in pairwise(bounds))
    return [(sum(x for x, _ in g) / len(g), sum(y for _, y in g) / len(g)) for g in groups]


def nice_ticks(low: float, high: float, count: int, steps: Sequence[float] | None = None) -> list[float]:
    """Round values that cover [low, high], about `count` of them: steps of 1, 2 or 5 x 10^k, or the smallest of `steps`
    that serves."""
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
    """Powers of ten inside [low, high], with their 2 and 5 folds where few are there; any round values where not even
    two of those lie inside."""
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    inside = [v for e in exponents for m in (1, 2, 5) if low * 0.999 <= (v := m * 10.0**e) <= high * 1.001]
    if len(inside) < 2:
        return [value for value in nice_ticks(low, high, count) if low <= value <= high]
    decades = [value for value in inside if round(math.log10(value), 9).is_integer()]
    return inside if len(inside) <= count + 2 or len(decades) < 2 else decades


class _Axis:
    """Maps values to pixels. Where `whole`, a linear axis begins and ends on round values, and a logarithmic one spans
    a doubling at least, so that what hardly changes looks so."""

    def __init__(
        self, values: Iterable[float], log: bool, pixels: tuple[float, float], count: int, time: bool, whole: bool
    ):
        known = list(values) or [1.0]
        low, high = min(known), max(known)
        if not log and 0 < low < high / 10:
            low = 0.0  # an axis that begins at 40k of 5M reads worse than one that begins at 0
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
        """The scale as a page's script can read it: two pixels, and what stands there (its log10 on a log axis)."""
        return f"{self.pixels[0]:g} {self.pixels[1]:g} {self.low:.9g} {self.high:.9g}"

    def _scale(self, value: float) -> float:
        return math.log10(value) if self.log else value

    def pixel(self, value: float) -> float:
        span = self.high - self.low
        share = (self._scale(value) - self.low) / span if span > 0 else 0.5
        return self.pixels[0] + share * (self.pixels[1] - self.pixels[0])


class _Drawing:
    """One chart being drawn: the frame first, then levels, lines, marks and their labels on top."""

    LEFT, RIGHT, BOTTOM = 46, 14, 26

    def __init__(self, chart: Chart):
        self.chart = chart
        self.series = [replace(series, points=self._known(series.points)) for series in chart.series]
        self.marks = [mark for mark in chart.marks if self._known([(mark.x, mark.y)])]
        self.levels = [level for level in chart.levels if _shows(level.value, chart.log_y)]
        self.verticals = [level for level in chart.verticals if _shows(level.value, chart.log_x)]
        self.legend, legend_rows = self._legend()
        self.right = chart.width - self.RIGHT
        self.top = 14 + (20 if chart.title else 0) + 18 * legend_rows
        bottom = chart.height - self.BOTTOM - (16 if chart.x_label else 0)
        points = [point for series in self.series for point in series.points] + [(m.x, m.y) for m in self.marks]
        xs = [x for x, _ in points] + [level.value for level in self.verticals]
        ys = [y for _, y in points] + [level.value for level in self.levels]
        across = max(3, (self.right - self.LEFT) // 90)
        inset = 14 if chart.marks or chart.inset else 0  # a badge at either end must not cover the labels
        ends = (self.LEFT + inset, self.right - inset)
        self.x = _Axis(xs, chart.log_x, ends, across, chart.time_x, False)
        self.y = _Axis(ys, chart.log_y, (bottom, self.top), max(2, (bottom - self.top) // 45), False, True)
        self.bottom = bottom

    def _known(self, points: Sequence[Point]) -> list[Point]:
        """The points that the axes can show, not more than a screen can."""
        kept = [(x, y) for x, y in points if _shows(x, self.chart.log_x) and _shows(y, self.chart.log_y)]
        return thin_out(kept)

    def svg(self) -> str:
        chart = self.chart
        head = (
            f'<svg class="chart" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {chart.width} {chart.height}" '
            f'width="{chart.width}" height="{chart.height}" role="img" aria-label="{escape(chart.title)}" '
            f'data-x="{self.x}" data-y="{self.y}">'
        )
        parts = [head, *self._frame(), *self._levels(), *map(self._line, self.series), *self._marks()]
        return "\n".join([*parts, *self._level_names(), *self._vertical_names(), "</svg>"])

    def _frame(self) -> Iterable[str]:
        chart = self.chart
        if chart.title:
            yield f'<text class="title" x="2" y="16">{escape(chart.title)}</text>'
        yield from self.legend
        for tick in self.y.ticks:
            y = self.y.pixel(tick)
            yield f'<line class="grid" x1="{self.LEFT}" x2="{self.right}" y1="{y:.1f}" y2="{y:.1f}"/>'
            yield f'<text x="{self.LEFT - 7}" y="{y + 4:.1f}" text-anchor="end">{escape(chart.y_text(tick))}</text>'
        for tick in self.x.ticks:
            x = self.x.pixel(tick)
            text = _clock(tick) if chart.time_x else number(tick)
            yield f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{self.bottom:.1f}" y2="{self.bottom + 4:.1f}"/>'
            yield f'<text x="{x:.1f}" y="{self.bottom + 18:.1f}" text-anchor="middle">{text}</text>'
        if chart.x_label:
            middle = (self.LEFT + self.right) / 2
            yield f'<text x="{middle}" y="{chart.height - 6}" text-anchor="middle">{escape(chart.x_label)}</text>'

    def _legend(self) -> tuple[list[str], int]:
        """Swatches and names in rows that fit the width; nothing for a single series."""
        named = [series for series in self.series if series.name]
        if len(named) < 2:
            return [], 0
        parts, x, row = [], self.LEFT, 0
        for series in named:
            width = 30 + CHARACTER_WIDTH * len(series.name)
            if x > self.LEFT and x + width > self.chart.width:
                x, row = self.LEFT, row + 1
            y = (36 if self.chart.title else 16) + 18 * row
            ends = f'x1="{x}" x2="{x + 16}" y1="{y - 4}" y2="{y - 4}"'
            parts.append(f'<line class="{_classes(series)}"{_stroke(series)} {ends}/>')
            parts.append(f'<text x="{x + 21}" y="{y}">{escape(series.name)}</text>')
            x += round(width + 12)
        return parts, row + 1

    def _line(self, series: Series) -> str:
        pixels = [(self.x.pixel(x), self.y.pixel(y)) for x, y in series.points]
        path = "M" + " L".join(f"{x:.1f},{y:.1f}" for x, y in pixels)
        drawn = series.line and len(pixels) > 1
        if not drawn and not series.dots and not series.name:
            return ""  # it only sets the axes
        parts = [f'<path class="{_classes(series)}"{_stroke(series)} d="{path}"/>'] if drawn else []
        if series.dots or len(pixels) == 1:
            dots = zip(series.points, pixels, strict=True)
            parts += [self._dot(series, point, x, y) for point, (x, y) in dots]
        return "\n".join(parts)

    def _dot(self, series: Series, point: Point, x: float, y: float) -> str:
        where = duration(point[0]) if self.chart.time_x else number(point[0])
        tip = escape(f"{series.name} {point[1]:.4g} at {where}")
        fill = f'class="f{series.colour % COLOURS}"' if series.shade is None else f'style="fill:{shade(series.shade)}"'
        return f'<circle {fill} cx="{x:.1f}" cy="{y:.1f}" r="2.6"><title>{tip}</title></circle>'

    def _levels(self) -> Iterable[str]:
        for level in self.levels:
            y = self.y.pixel(level.value)
            yield f'<line class="level" x1="{self.LEFT}" x2="{self.right}" y1="{y:.1f}" y2="{y:.1f}"/>'
        for level in self.verticals:
            x = self.x.pixel(level.value)
            yield f'<line class="level" x1="{x:.1f}" x2="{x:.1f}" y1="{self.top}" y2="{self.bottom:.1f}"/>'

    def _level_names(self) -> Iterable[str]:
        """Names above their lines at the right, moved up where two would overlap."""
        ceiling = math.inf
        for level in sorted(self.levels, key=lambda level: level.value):
            y = min(self.y.pixel(level.value) - 5, ceiling - 14)
            ceiling = y
            text = f"{escape(level.name)} {escape(self.chart.y_text(level.value))}"
            yield f'<text class="halo" x="{self.right - 2}" y="{y:.1f}" text-anchor="end">{text}</text>'

    def _vertical_names(self) -> Iterable[str]:
        """Names at the head of their lines, on the side that has room."""
        for level in self.verticals:
            x = self.x.pixel(level.value)
            left = x > (self.LEFT + self.right) / 2
            place = f'x="{x + (-6 if left else 6):.1f}" y="{self.top + 12}" text-anchor="{"end" if left else "start"}"'
            yield f'<text class="halo level-name" {place}>{escape(level.name)}</text>'

    def _marks(self) -> Iterable[str]:
        for mark in self.marks:
            x, y = self.x.pixel(mark.x), self.y.pixel(mark.y)
            if not mark.badge:
                yield f'<polygon class="star f1" points="{_star(x, y)}"><title>{escape(mark.tip)}</title></polygon>'
                continue
            yield (
                f"<g><title>{escape(mark.tip or mark.badge)}</title>"
                f'<circle class="mark f0" cx="{x:.1f}" cy="{y:.1f}" r="10"/>'
                f'<text class="badge" x="{x:.1f}" y="{y + 4:.1f}" text-anchor="middle">{escape(mark.badge)}</text></g>'
            )


def _shows(value: float, log: bool) -> bool:
    """Whether an axis has a place for the value."""
    return math.isfinite(value) and (value > 0 or not log)


def _classes(series: Series) -> str:
    return f"line s{series.colour % COLOURS}" + (" thin" if series.thin else "")


def _stroke(series: Series) -> str:
    return "" if series.shade is None else f' style="stroke:{shade(series.shade)}"'


def shade(share: float) -> str:
    """The colour at `share` (0 to 1, cut there) of RAMP, as CSS writes it."""
    place = min(max(share, 0.0), 1.0) * (len(RAMP) - 1)
    lower = min(int(place), len(RAMP) - 2)
    mixed = (round(a + (b - a) * (place - lower)) for a, b in zip(RAMP[lower], RAMP[lower + 1], strict=True))
    return "#" + "".join(f"{channel:02x}" for channel in mixed)


def _star(x: float, y: float, radius: float = 10) -> str:
    """The corners of a five-pointed star."""
    corners = ((radius * (0.42 if i % 2 else 1), math.pi * (i / 5 - 0.5)) for i in range(10))
    return " ".join(f"{x + r * math.cos(a):.1f},{y + r * math.sin(a):.1f}" for r, a in corners)


def _clock(seconds: float) -> str:
    """A tick of a time axis: '0', '45s', '2m', '1m 30s', '2h'."""
    if seconds == 0:
        return "0"
    text = duration(seconds) if seconds != int(seconds) or seconds >= 10 else f"{seconds:.0f}s"
    return re.sub(r" 0+[smh]$", "", text)
