"""Pieces of an HTML page: text made inert, and plain values as lists and tables."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from typing import Any


def escape(text: object) -> str:
    """Text that is inert in HTML and legal in XML: markup escaped, control characters and lone surrogates replaced."""
    legal = re.sub("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", str(text))
    return html.escape(legal)


def fact_list(title: str, facts: Mapping[str, Any]) -> str:
    """A titled list of what is known; nothing where nothing is."""
    known = {key: value for key, value in facts.items() if value is not None}
    return f"<h2>{title}</h2>{as_html(known)}" if known else ""


def table(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """Mappings of the same keys, a row each."""
    columns = list(dict.fromkeys(key for row in rows.values() for key in row))
    if not columns:
        return ""
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in columns)
    lines = (
        f'<tr><th scope="row">{escape(name)}</th>'
        + "".join(f"<td>{as_html(row.get(column, ''))}</td>" for column in columns)
        + "</tr>"
        for name, row in rows.items()
    )
    return f'<div class="scroll"><table class="numbers"><tr><td></td>{head}</tr>{"".join(lines)}</table></div>'


def as_html(value: Any) -> str:
    """Any JSON value as HTML: mappings as definition lists, lists as lists, numbers with their thousands apart."""
    if isinstance(value, Mapping):
        pairs = (f"<dt>{escape(key)}</dt><dd>{as_html(item)}</dd>" for key, item in value.items())
        return f"<dl>{''.join(pairs)}</dl>"
    if isinstance(value, list | tuple):
        return f"<ul>{''.join(f'<li>{as_html(item)}</li>' for item in value)}</ul>"
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "-"}[value]
    if isinstance(value, int):
        return f"{value:,}" if abs(value) >= 10_000 else str(value)
    return escape(f"{value:.6g}" if isinstance(value, float) else value)
