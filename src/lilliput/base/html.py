"""An offline HTML page and its pieces: the document with its style, escaped text, values as lists and tables."""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

INTERVAL = re.compile(r"\(\S+ to \S+\)$")
"""The end of a figure such as '0.62 (0.55 to 0.70)'."""


def document(title: str, body: str, style: str = "", script: str = "") -> str:
    """Return a whole page around `body` (HTML), with the common style and then `style` (CSS).

    The page loads no other file. Its content security policy names `script` by its hash, so that no other script can
    run, whatever its texts contain."""
    css = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    if script:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        policy += f"; script-src 'sha256-{digest}'"
        body += f"\n<script>{script}</script>"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<title>{escape(title)} - Lilliput</title>
<style>
{css}{style}</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""


def escape(text: object) -> str:
    """Return text that is inert in HTML and legal in XML: with markup escaped, and control characters and lone
    surrogates replaced."""
    legal = re.sub("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", str(text))
    return html.escape(legal)


def fact_list(title: str, facts: Mapping[str, Any]) -> str:
    """Return a titled list of facts; an empty text without facts."""
    known = {key: value for key, value in facts.items() if value is not None}
    return f"<h2>{title}</h2>{as_html(known)}" if known else ""


def table(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """Return a table of mappings with the same keys, a row each."""
    columns = list(dict.fromkeys(key for row in rows.values() for key in row))
    if not columns:
        return ""
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in columns)
    lines = (
        f'<tr><th scope="row">{escape(name)}</th>' + "".join(_cell(row.get(column, "")) for column in columns) + "</tr>"
        for name, row in rows.items()
    )
    return f'<div class="scroll"><table class="numbers"><tr><td></td>{head}</tr>{"".join(lines)}</table></div>'


def _cell(value: Any) -> str:
    """Return a cell. The interval of a figure is a part of its own, which a page may keep in one line."""
    return "<td>" + INTERVAL.sub(r'<span class="interval">\g<0></span>', as_html(value)) + "</td>"


def as_html(value: Any) -> str:
    """Return any JSON value as HTML: mappings as definition lists, lists as lists, numbers with separated thousands."""
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
