"""A small line chart as SVG: nice ticks, log axes, dashed levels, marks, stars, a legend; text is always escaped, and
neither cut off by the edge nor drawn over other text.

Colours come from CSS variables, so that a page can have them follow its light or dark mode; `STYLE` holds the rules and
their light defaults, and belongs once into every page or picture that shows a chart.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from lilliput.base.axis import Axis
from lilliput.base.chart_text import Box, fit, text_width, wrap
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
LARGEST = 1.3
"""A page draws a chart at most this many times its own size. Larger, text of 12 px would be giant beside the page's."""


@dataclass(frozen=True, slots=True)
class Series:
    """A line of a chart. `colour` counts from 0. `thin` draws it lightly, `dots` shows each point, `line` joins the
    points. `shade`, from 0 to 1, replaces `colour` where lines have an order, such as by budget. A series without a
    name is not in the legend."""

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
    """A marked point, with a short badge ('1') and a longer tooltip. An empty badge draws a star."""

    x: float
    y: float
    badge: str
    tip: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """The content of a chart, in the data's own units; `width` and `height` in pixels. Points that are not finite, or
    not positive on a log axis, are left out. With `time_x`, x is in seconds. Two fields align charts that stand above
    each other: the x axis always covers the values of `reach`, and `inset` leaves the room for marks at both ends."""

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
    reach: Sequence[float] = ()
    inset: bool = False

    def svg(self) -> str:
        """Return the chart as one <svg> element, without STYLE."""
        return _Drawing(self).svg()


def figure(chart: Chart, narrow_height: int = 320) -> str:
    """Return the chart as a page's figure, drawn twice, for a wide and for a narrow screen, because scaled-down text
    would be too small to read. The page's style shows the drawing that fits."""
    narrow = replace(chart, width=350, height=narrow_height)
    pair = (("wide", chart), ("narrow", narrow))
    drawn = (one.svg().replace('class="chart"', f'class="chart {kind}"', 1) for kind, one in pair)
    return f"<figure>{''.join(drawn)}</figure>"


def thin_out(points: Sequence[Point], limit: int = DRAWN_POINTS) -> list[Point]:
    """Return at most `limit` points, as means of equal groups, because a screen shows no more points."""
    if len(points) <= limit:
        return list(points)
    bounds = [round(i * len(points) / limit) for i in range(limit + 1)]
    groups = (points[start:stop] for start, stop in pairwise(bounds))
    return [(sum(x for x, _ in g) / len(g), sum(y for _, y in g) / len(g)) for g in groups]


class _Drawing:
    """A chart while it is drawn: the frame first, then levels, lines, marks and their labels on top. `taken` holds the
    boxes of drawn parts that later labels must not cover."""

    LEFT, RIGHT, BOTTOM = 46, 14, 26
    TITLE_SIZE, LINE = 13, 17

    def __init__(self, chart: Chart):
        self.chart = chart
        self.series = [replace(series, points=self._known(series.points)) for series in chart.series]
        self.marks = [mark for mark in chart.marks if self._known([(mark.x, mark.y)])]
        self.levels = [level for level in chart.levels if _shows(level.value, chart.log_y)]
        self.verticals = [level for level in chart.verticals if _shows(level.value, chart.log_x)]
        self.title = wrap(chart.title, chart.width - 4, self.TITLE_SIZE, bold=True)
        self.legend, legend_rows = self._legend()
        self.right = chart.width - self.RIGHT
        self.top = 14 + (3 + self.LINE * len(self.title) if self.title else 0) + 18 * legend_rows
        self.bottom = chart.height - self.BOTTOM - (16 if chart.x_label else 0)
        points = [point for series in self.series for point in series.points] + [(m.x, m.y) for m in self.marks]
        ys = [y for _, y in points] + [level.value for level in self.levels]
        down = max(2, (self.bottom - self.top) // 45)
        self.y = Axis(ys, chart.log_y, (self.bottom, self.top), down, False, True)
        self.left = max([self.LEFT, *(math.ceil(text_width(chart.y_text(tick))) + 9 for tick in self.y.ticks)])
        ends = [x for x in chart.reach if _shows(x, chart.log_x)]
        xs = [x for x, _ in points] + [level.value for level in self.verticals] + ends
        inset = (
            14 if chart.marks or chart.inset else 0
        )  # room for a badge at either end, which must not cover the labels
        across = max(3, (self.right - self.left) // 90)
        self.x = Axis(xs, chart.log_x, (self.left + inset, self.right - inset), across, chart.time_x, False)
        self.badges = self._badges()
        self.taken = [Box(x - 10, y - 10, x + 10, y + 10) for x, y in self.badges]

    def _known(self, points: Sequence[Point]) -> list[Point]:
        """Return the points that the axes can show, thinned out to the points that a screen can show."""
        kept = [(x, y) for x, y in points if _shows(x, self.chart.log_x) and _shows(y, self.chart.log_y)]
        return thin_out(kept)

    def svg(self) -> str:
        chart = self.chart
        head = (
            f'<svg class="chart" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {chart.width} {chart.height}" '
            f'width="{chart.width}" height="{chart.height}" role="img" aria-label="{escape(chart.title)}" '
            f'style="max-width:{LARGEST * chart.width:g}px" data-x="{self.x}" data-y="{self.y}">'
        )
        parts = [head, *self._frame(), *self._levels(), *map(self._line, self.series), *self._marks()]
        return "\n".join([*parts, *self._level_names(), *self._vertical_names(), "</svg>"])

    def _frame(self) -> Iterable[str]:
        chart = self.chart
        for row, line in enumerate(self.title):
            yield f'<text class="title" x="2" y="{16 + self.LINE * row}">{escape(line)}</text>'
        yield from self.legend
        for tick in self.y.ticks:
            y = self.y.pixel(tick)
            yield f'<line class="grid" x1="{self.left}" x2="{self.right}" y1="{y:.1f}" y2="{y:.1f}"/>'
            yield f'<text x="{self.left - 7}" y="{y + 4:.1f}" text-anchor="end">{escape(chart.y_text(tick))}</text>'
        yield from self._x_ticks()
        if chart.x_label:
            middle, name = (self.left + self.right) / 2, fit(chart.x_label, self.right - self.left)
            yield f'<text x="{middle}" y="{chart.height - 6}" text-anchor="middle">{escape(name)}</text>'

    def _x_ticks(self) -> Iterable[str]:
        """Yield ticks with their labels, which stay inside the picture. A label without room beside the last is left
        out."""
        free = -math.inf
        for tick in self.x.ticks:
            x = self.x.pixel(tick)
            yield f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{self.bottom:.1f}" y2="{self.bottom + 4:.1f}"/>'
            text = _clock(tick) if self.chart.time_x else number(tick)
            half = text_width(text) / 2
            middle = min(x, self.chart.width - half)
            if middle - half > free:
                free = middle + half + 4
                yield f'<text x="{middle:.1f}" y="{self.bottom + 18:.1f}" text-anchor="middle">{escape(text)}</text>'

    def _legend(self) -> tuple[list[str], int]:
        """Return swatches and names in rows that fit the width; nothing for a single series."""
        named = [series for series in self.series if series.name]
        if len(named) < 2:
            return [], 0
        parts, x, row = [], self.LEFT, 0
        for series in named:
            name = fit(series.name, self.chart.width - self.LEFT - 24)
            width = 21 + text_width(name)
            if x > self.LEFT and x + width > self.chart.width:
                x, row = self.LEFT, row + 1
            y = (19 + self.LINE * len(self.title) if self.title else 16) + 18 * row
            ends = f'x1="{x}" x2="{x + 16}" y1="{y - 4}" y2="{y - 4}"'
            parts.append(f'<line class="{_classes(series)}"{_stroke(series)} {ends}/>')
            whole = f"<title>{escape(series.name)}</title>" if name != series.name else ""
            parts.append(f'<text x="{x + 21}" y="{y}">{whole}{escape(name)}</text>')
            x += round(width + 16)
        return parts, row + 1

    def _line(self, series: Series) -> str:
        pixels = [(self.x.pixel(x), self.y.pixel(y)) for x, y in series.points]
        path = "M" + " L".join(f"{x:.1f},{y:.1f}" for x, y in pixels)
        drawn = series.line and len(pixels) > 1
        if not drawn and not series.dots and not series.name:
            return ""  # a series without dots and line only sets the axes
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
            yield f'<line class="level" x1="{self.left}" x2="{self.right}" y1="{y:.1f}" y2="{y:.1f}"/>'
        for level in self.verticals:
            x = self.x.pixel(level.value)
            yield f'<line class="level" x1="{x:.1f}" x2="{x:.1f}" y1="{self.top}" y2="{self.bottom:.1f}"/>'

    def _level_names(self) -> Iterable[str]:
        """Yield names above their lines at the right.

        A name stands at the left where a badge is at the right, or where only the left place is free of curves. Where
        two names would overlap, a name moves upwards, and down again from the upper edge."""
        rising = sorted(self.levels, key=lambda level: level.value)
        rows: list[float] = []
        for level in rising:
            rows.append(min(self.y.pixel(level.value) - 5, rows[-1] - 15 if rows else math.inf))
        least = self.top + 10.0
        for place in reversed(range(len(rows))):
            rows[place] = max(rows[place], least)
            least = rows[place] + 15
        for level, y in zip(rising, rows, strict=True):
            value = self.chart.y_text(level.value)
            name = fit(level.name, self.right - self.left - 8 - text_width(f" {value}"))
            text = f"{name} {value}"
            right, left = Box.of(text, self.right - 2, y, "end"), Box.of(text, self.left + 2, y)
            moved = right.meets(self.taken) or (self._crossed(right) and not self._crossed(left))
            x, anchor, box = (self.left + 2, "start", left) if moved else (self.right - 2, "end", right)
            self.taken.append(box)
            yield f'<text class="halo" x="{x}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'

    def _crossed(self, box: Box) -> bool:
        """Return whether a curve runs through the box."""
        for series in self.series:
            pixels = [(self.x.pixel(x), self.y.pixel(y)) for x, y in series.points]
            if series.line and any(box.crossed(a, b) for a, b in pairwise(pixels)):
                return True
        return False

    def _vertical_names(self) -> Iterable[str]:
        """Yield names at the head of their lines, on the side with room, in the first free row."""
        for level in self.verticals:
            x = self.x.pixel(level.value)
            left = x > (self.left + self.right) / 2
            x, anchor = (x - 6, "end") if left else (x + 6, "start")
            name = fit(level.name, x - self.left if left else self.right - x)
            rows = range(self.top + 12, max(self.top + 13, int(self.bottom) - 4), 15)
            y = next((row for row in rows if not Box.of(name, x, row, anchor).meets(self.taken)), rows[0])
            self.taken.append(Box.of(name, x, y, anchor))
            place = f'x="{x:.1f}" y="{y}" text-anchor="{anchor}"'
            yield f'<text class="halo level-name" {place}>{escape(name)}</text>'

    def _badges(self) -> list[Point]:
        """Return the place of each mark's badge: at its point, or above the point where an earlier badge is in the
        way."""
        places: list[Point] = []
        for mark in self.marks:
            x, y = self.x.pixel(mark.x), self.y.pixel(mark.y)
            while mark.badge and y > 31 and any(abs(x - a) < 20 and abs(y - b) < 20 for a, b in places):
                y -= 21
            places.append((x, y))
        return places

    def _marks(self) -> Iterable[str]:
        for mark, (x, y) in zip(self.marks, self.badges, strict=True):
            if not mark.badge:
                yield f'<polygon class="star f1" points="{_star(x, y)}"><title>{escape(mark.tip)}</title></polygon>'
                continue
            at = self.y.pixel(mark.y)
            if y != at:
                yield f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{y:.1f}" y2="{at:.1f}"/>'
            yield (
                f"<g><title>{escape(mark.tip or mark.badge)}</title>"
                f'<circle class="mark f0" cx="{x:.1f}" cy="{y:.1f}" r="10"/>'
                f'<text class="badge" x="{x:.1f}" y="{y + 4:.1f}" text-anchor="middle">{escape(mark.badge)}</text></g>'
            )


def _shows(value: float, log: bool) -> bool:
    """Return whether an axis can show the value."""
    return math.isfinite(value) and (value > 0 or not log)


def _classes(series: Series) -> str:
    return f"line s{series.colour % COLOURS}" + (" thin" if series.thin else "")


def _stroke(series: Series) -> str:
    return "" if series.shade is None else f' style="stroke:{shade(series.shade)}"'


def shade(share: float) -> str:
    """Return the CSS colour at `share` of RAMP; `share` is clamped to 0..1."""
    place = min(max(share, 0.0), 1.0) * (len(RAMP) - 1)
    lower = min(int(place), len(RAMP) - 2)
    mixed = (round(a + (b - a) * (place - lower)) for a, b in zip(RAMP[lower], RAMP[lower + 1], strict=True))
    return "#" + "".join(f"{channel:02x}" for channel in mixed)


def _star(x: float, y: float, radius: float = 10) -> str:
    """Return the corners of a five-pointed star."""
    corners = ((radius * (0.42 if i % 2 else 1), math.pi * (i / 5 - 0.5)) for i in range(10))
    return " ".join(f"{x + r * math.cos(a):.1f},{y + r * math.sin(a):.1f}" for r, a in corners)


def _clock(seconds: float) -> str:
    """Format a tick of a time axis: '0', '45s', '2m', '1m 30s', '2h'."""
    if seconds == 0:
        return "0"
    text = duration(seconds) if seconds != int(seconds) or seconds >= 10 else f"{seconds:.0f}s"
    return re.sub(r" 0+[smh]$", "", text)
