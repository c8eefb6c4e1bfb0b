"""lens.html: one offline page of the figures of all instruments, in words first, for small and large screens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lilliput.base.chart import STYLE
from lilliput.base.console import size
from lilliput.base.html import as_html, document, escape
from lilliput.lens.instrument import INSTRUMENTS, PARTS, Instrument, Part
from lilliput.lens.look import Look, ordered

LIMIT = 6_000_000
"""The most bytes of a page. A page of more is slow to open on a phone."""
CONTENTS = "contents.js"
"""The script of every page: it opens and closes the parts."""
FOLDER = Path(__file__).with_name("page")


def page(look: Look, limit: int = LIMIT) -> str:
    """Return the whole page as HTML. Where it would be larger than `limit` bytes, the largest sections are left out,
    and the page names them."""
    instruments = {name: INSTRUMENTS[name]() for name in ordered(list(look.found))}
    sections = {name: instrument.section(look.found[name]) for name, instrument in instruments.items()}
    head = _head(look)
    left_out: dict[str, str] = {}
    while True:
        whole = document(f"Inside {look.model}", _body(head, look, instruments, sections), style(), script(instruments))
        if len(whole.encode()) <= limit or len(left_out) == len(sections):
            return whole
        largest = max((name for name in sections if name not in left_out), key=lambda name: len(sections[name]))
        sections[largest] = left_out[largest] = _left_out(largest, len(sections[largest].encode()), limit)


def style() -> str:
    """Return the CSS of all pages of the lens, charts included."""
    return STYLE + "".join(path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.css")))


def script(instruments: Mapping[str, Instrument]) -> str:
    """Return the scripts of these instruments' sections as one script, each file once and in a scope of its own."""
    names = dict.fromkeys([CONTENTS, *(one.script for one in instruments.values() if one.script)])
    return "\n".join(f"(() => {{\n{(FOLDER / name).read_text(encoding='utf-8')}}})();" for name in names)


def _left_out(name: str, count: int, limit: int) -> str:
    return (
        f'<p class="problems">This section has {size(count)}, and a page has {size(limit)} at most. Its figures are in '
        f"the page's JSON file. To see the section, write a page of it alone: <code>lilliput lens RUN --only "
        f"{escape(name)}</code></p>"
    )


def _head(look: Look) -> str:
    return (
        '<header><div class="eyebrow">Lilliput lens</div>'
        f"<h1>Inside {escape(look.model)}</h1>"
        f'<div class="facts">{as_html(look.facts)}</div></header>'
    )


def _body(head: str, look: Look, instruments: Mapping[str, Instrument], sections: Mapping[str, str]) -> str:
    shown: dict[Part, list[str]] = {
        part: [name for name in instruments if instruments[name].part == part] for part in PARTS
    }
    parts: dict[Part, list[str]] = {part: names for part, names in shown.items() if names}
    drawn = (_part(part, PARTS[part], names, instruments, sections) for part, names in parts.items())
    return "\n".join(
        [head, _findings(look, instruments), _contents(parts, instruments), *drawn, _refused(look), FOOTER]
    )


FOOTER = (
    "<footer>Made by <code>lilliput lens</code>. An interval is a 95% interval. A control is the same measurement "
    "where there is nothing to find, for example with untrained weights. A figure no larger than its control is chance."
    "</footer>"
)


def _findings(look: Look, instruments: Mapping[str, Instrument]) -> str:
    """The summary in words, each sentence with a link to its section."""
    lines = [
        f'<li>{escape(sentence)} <a href="#lens-{escape(name)}">How it was measured</a></li>'
        for name, instrument in instruments.items()
        for sentence in instrument.findings(look.found[name])
    ]
    if not lines:
        return '<h2>In short</h2><p class="quiet">No figure of these instruments beats its control.</p>'
    return f'<h2>In short</h2><ul class="findings">{"".join(lines)}</ul>'


def _contents(parts: Mapping[Part, Sequence[str]], instruments: Mapping[str, Instrument]) -> str:
    items = (
        f'<li><a href="#part-{part}">{escape(PARTS[part])}</a><ul>'
        + "".join(f'<li><a href="#lens-{escape(name)}">{escape(instruments[name].title)}</a></li>' for name in names)
        + "</ul></li>"
        for part, names in parts.items()
    )
    return (
        f'<nav class="contents" aria-label="Contents"><h2>Contents</h2><ol>{"".join(items)}</ol>'
        '<p class="folding" hidden><button type="button" data-fold="open">Open all parts</button> '
        '<button type="button" data-fold="close">Close all parts</button></p></nav>'
    )


def _part(
    part: str, title: str, names: Sequence[str], instruments: Mapping[str, Instrument], sections: Mapping[str, str]
) -> str:
    inner = "".join(
        f'<section class="instrument" id="lens-{escape(name)}">'
        f'<h3 class="title">{escape(instruments[name].title)}</h3>{sections[name]}</section>'
        for name in names
    )
    return f'<details class="part" id="part-{part}" open><summary><h2>{escape(title)}</h2></summary>{inner}</details>'


def _refused(look: Look) -> str:
    if not look.refused:
        return ""
    reasons: dict[str, Any] = {INSTRUMENTS[name].title: look.refused[name] for name in ordered(list(look.refused))}
    return f"<h2>Not measured here</h2>{as_html(reasons)}"
