"""Bars with intervals and a control, as a table that fits a screen of 400 pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lilliput.base.html import escape


def bars(rows: Sequence[tuple[str, Mapping[str, float], float | None]], digits: int = 3) -> str:
    """Return a bar for each row (name, figure, control): the figure's `mean`, its interval from `low` to `high` as a
    thin line, and the control as a dashed line across the bar."""
    ends = [value for _, one, control in rows for value in (one["low"], one["high"], one["mean"], control or 0.0)]
    low, high = min([0.0, *ends]), max([0.0, *ends])
    span = high - low or 1.0
    lines = []
    for name, one, control in rows:
        text = f"{one['mean']:.{digits}f} ({one['low']:.{digits}f} to {one['high']:.{digits}f})"
        zero, mean, first, last = (100 * (value - low) / span for value in (0.0, one["mean"], one["low"], one["high"]))
        drawn = _bar(zero, mean, first, last, None if control is None else 100 * (control - low) / span)
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
