"""Figures of several models side by side, or of one model through its checkpoints, each with its control."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from lilliput.base.chart import Chart, Series, figure
from lilliput.base.errors import ConfigError
from lilliput.base.html import document, escape, table
from lilliput.lens.instrument import INSTRUMENTS, Compared, Instrument
from lilliput.lens.look import Look, ordered
from lilliput.lens.page import style

Roles = dict[str, dict[str, dict[str, Compared]]]
"""Figures by instrument, then by role, then by column (a model or a checkpoint)."""


def comparing(only: Sequence[str] = ()) -> list[str]:
    """Return the names of the instruments whose figures can stand side by side, in the order of the page, or those in
    `only`. Raises ConfigError for another name, and for an instrument without such a figure."""
    able = [name for name in ordered(only) if INSTRUMENTS[name].comparable is not Instrument.comparable]
    if unable := [name for name in only if name not in able]:
        known = [name for name in ordered() if INSTRUMENTS[name].comparable is not Instrument.comparable]
        raise ConfigError(
            f"the instrument '{unable[0]}' has no figure that is the same for any model",
            f"instruments with such figures: {', '.join(known)}",
        )
    return able


def roles(looks: Mapping[str, Look]) -> Roles:
    """Return the comparable figures of looks, which are given by the names of their columns. An instrument that refused
    a model, and a role that a model lacks, have no value in its column."""
    found: Roles = {}
    for column, look in looks.items():
        for name in ordered(list(look.found)):
            for role, value in INSTRUMENTS[name]().comparable(look.found[name]).items():
                found.setdefault(name, {}).setdefault(role, {})[column] = value
    return {name: found[name] for name in ordered(list(found))}


def plain_roles(found: Roles) -> dict[str, Any]:
    """Return figures as JSON values; a number that JSON lacks (NaN) is None."""
    return {
        name: {role: {column: _plain(value) for column, value in columns.items()} for role, columns in by_role.items()}
        for name, by_role in found.items()
    }


def _plain(value: Compared) -> dict[str, float | None]:
    return {key: number if _finite(number) else None for key, number in value._asdict().items()}


def _finite(number: float | None) -> bool:
    return number is not None and math.isfinite(number)


def text_of(value: Compared | None, digits: int = 3) -> str:
    """Return a figure with its interval and its control as text: '0.62 (0.55 to 0.70), control 0.03'."""
    if value is None or not _finite(value.value):
        return "-"
    shown = f"{value.value:.{digits}g}"
    if value.low is not None and value.high is not None:
        shown += f" ({value.low:.{digits}g} to {value.high:.{digits}g})"
    return shown if value.control is None else f"{shown}, control {value.control:.{digits}g}"


def compare_page(looks: Mapping[str, Look]) -> str:
    """Return one offline page with the figures of models in columns."""
    found = roles(looks)
    about = {column: look.facts for column, look in looks.items()}
    parts = [
        '<header><div class="eyebrow">Lilliput lens</div><h1>Side by side</h1></header>',
        "<p>Each row is a role, and not a head of the same number: the strongest head of a kind may be another head in "
        "another model.</p>",
        table(about),
        *(_section(name, _table(by_role, list(looks))) for name, by_role in found.items()),
        _refused(looks),
    ]
    return document("Models side by side", "\n".join([*parts, FOOTER]), style())


def evolve_page(name: str, looks: Mapping[int, Look]) -> str:
    """Return one offline page with the figures of one model at the steps of its checkpoints."""
    found = roles({str(step): look for step, look in looks.items()})
    steps = ", ".join(f"{step:,}" for step in looks)
    parts = [
        f'<header><div class="eyebrow">Lilliput lens</div><h1>How {escape(name)} learned</h1></header>',
        f"<p>The same figures at each kept checkpoint, steps {steps}. The line of the control is the same measurement "
        "where there is nothing to find.</p>",
        *(
            _section(one, "".join(_chart(role, points) for role, points in by_role.items()))
            for one, by_role in found.items()
        ),
        _refused({str(step): look for step, look in looks.items()}),
    ]
    return document(f"How {name} learned", "\n".join([*parts, FOOTER]), style())


FOOTER = (
    "<footer>Made by <code>lilliput lens</code>. The numbers in brackets are a 95% interval. A figure no larger than "
    "its control is chance.</footer>"
)


def _section(name: str, inner: str) -> str:
    title = f'<h3 class="title">{escape(INSTRUMENTS[name].title)}</h3>'
    return f'<section class="instrument" id="lens-{escape(name)}">{title}{inner}</section>'


def _table(by_role: Mapping[str, Mapping[str, Compared]], columns: Sequence[str]) -> str:
    return table({role: {name: text_of(found.get(name)) for name in columns} for role, found in by_role.items()})


def _chart(role: str, points: Mapping[str, Compared]) -> str:
    known = {int(step): value for step, value in points.items()}
    series = [Series("model", [(step, value.value) for step, value in known.items()], 0, dots=True)]
    controls = [(step, value.control) for step, value in known.items() if value.control is not None]
    if controls:
        series.append(Series("control", controls, 1, dots=True, thin=True))
    return figure(Chart(role, series, "step", height=240))


def _refused(looks: Mapping[str, Look]) -> str:
    lines = [
        f"<li>{escape(column)}: {escape(INSTRUMENTS[name].title)}: {escape(reason)}</li>"
        for column, look in looks.items()
        for name, reason in look.refused.items()
    ]
    return f"<h2>Not measured here</h2><ul>{''.join(lines)}</ul>" if lines else ""
