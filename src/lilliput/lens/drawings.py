"""Drawings of the instruments: a heat map as a table, and bars with intervals. Both fit a screen of 400 pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lilliput.base.chart import shade
from lilliput.base.html import escape

BRIGHT = 0.6
"""From this share of the colour scale on, dark text is easier to read on it than white text."""


def heat_map(values: Mapping[str, Mapping[str, float | None]], caption: str, corner: str = "", digits: int = 3) -> str:
    """Return a table with a row for each key and a shaded cell for each value: dark violet for the least, yellow for
    the most. None gives an empty cell. The number stands in each cell, so that colour is never needed to read it."""
    columns = list(dict.fromkeys(column for row in values.values() for column in row))
    known = [value for row in values.values() for value in row.values() if value is not None]
    low, high = (min(known), max(known)) if known else (0.0, 0.0)
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in columns)
    lines = "".join(
        f'<tr><th scope="row">{escape(name)}</th>'
        + "".join(_cell(row.get(column), low, high, digits) for column in columns)
        + "</tr>"
        for name, row in values.items()
    )
    return (
        f'<div class="scroll"><table class="numbers"><caption class="quiet">{escape(caption)}</caption>'
        f"<tr><th>{escape(corner)}</th>{head}</tr>{lines}</table></div>"
    )


def _cell(value: float | None, low: float, high: float, digits: int) -> str:
    if value is None:
        return "<td></td>"
    part = (value - low) / (high - low) if high > low else 0.0
    colour = "#16171a" if part >= BRIGHT else "#ffffff"
    return f'<td style="background:{shade(part)};color:{colour};padding:5px 10px">{value:.{digits}f}</td>'


def bars(rows: Sequence[tuple[str, Mapping[str, float], float | None]], digits: int = 3) -> str:
    """Return a bar for each row (name, figure, control): the figure's `mean`, its interval from `low` to `high` as a
    thin line, and the control as a dashed line across the bar."""
    ends = [value for _, one, control in rows for value in (one["low"], one["high"], one["mean"], control or 0.0)]
    low, high = min([0.0, *ends]), max([0.0, *ends])
    span = high - low or 1.0
    lines = []
    for name, one, control in rows:
        text = f"{one['mean']:.{digits}f} ({one['low']:.{digits}f} to {one['high']:.{digits}f})"
        places = [100 * (value - low) / span for value in (0.0, one["mean"], one["low"], one["high"])]
        drawn = _bar(*places, None if control is None else 100 * (control - low) / span)
        lines.append(
            f'<tr><th scope="row">{escape(name)}</th><td>{drawn}</td><td class="value">{escape(text)}</td></tr>'
        )
    return f'<div class="scroll"><table class="bars">{"".join(lines)}</table></div>'


def _bar(zero: float, mean: float, low: float, high: float, control: float | None) -> str:
    """All in percent of the width. The picture is stretched, and so it holds no text; lines keep their thickness."""
    line = 'vector-effect="non-scaling-stroke"'
    dashed = f'<path class="level" {line} d="M{control:.2f},0 V18"/>' if control is not None else ""
    return (
        '<svg class="chart" viewBox="0 0 100 18" preserveAspectRatio="none" width="100%" height="18" '
        'aria-hidden="true" style="min-width:90px">'
        f'<rect class="f0" x="{min(zero, mean):.2f}" width="{abs(mean - zero):.2f}" y="2" height="14" rx="0.5"/>'
        f'<path class="line s1" {line} d="M{low:.2f},9 H{high:.2f}"/>{dashed}</svg>'
    )
