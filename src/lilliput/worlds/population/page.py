"""Offline pages of people and of diaries: shares beside the tables', euros by category, contradictions, examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lilliput.base.html import document, escape, table

CSS = """
.bars { display: grid; grid-template-columns: minmax(8em, max-content) 1fr max-content; gap: .2em .8em; }
.bars .track { position: relative; background: var(--line, #e5e0d4); height: 1em; align-self: center; }
.bars .track div { background: #0f766e; height: 100%; }
.bars .track span { position: absolute; top: -.15em; bottom: -.15em; width: 2px; background: #c2711c; }
.bars .number { font-variant-numeric: tabular-nums; text-align: right; }
pre { white-space: pre-wrap; }
"""


def people_page(found: Mapping[str, Any]) -> str:
    """Return the page of people (see check_people)."""
    contradicting = found["contradicting"]
    body = [
        "<h1>People</h1>",
        f"<p>{found['people']:,} people; {found['outside']:,} belong to no category of some table. "
        f"{_interval(contradicting)} contradict themselves.</p>",
        "<h2>Tables</h2>",
        "<p>The error is the total variation between a table's shares and the people's. As many people who are drawn "
        "from the table itself have the error in the last column.</p>",
        table({name: _error(each) for name, each in found["tables"].items()}),
        "<h2>Categories</h2>",
        "<p>A bar is the people's share. The mark is the table's.</p>",
    ]
    for name, categories in found["categories"].items():
        most = max(max(each["table"], each["people"]) for each in categories.values())
        body += [f"<h3>{escape(name)}</h3>", _bars(categories, most)]
    return document("People", "\n".join(body), CSS)


def diaries_page(found: Mapping[str, Any], examples: Sequence[str]) -> str:
    """Return the page of diaries (see check_diaries), with some of them."""
    body = [
        "<h1>Diaries</h1>",
        f"<p>{found['days']:,} days of {found['people']:,} people. {_interval(found['contradicting'])} of the days "
        "contradict the person or the day's heading.</p>",
        "<h2>Euros a day</h2>",
        table({name: {"euros": f"{euros:.2f}"} for name, euros in found["euros_a_day"].items()}),
        f"<p>{found['interactions_a_day']:.3f} interactions a day.</p>",
        "<h2>Examples</h2>",
        *(f"<pre>{escape(text)}</pre>" for text in examples),
    ]
    if found["examples"]:
        body += [
            "<h2>Contradictions</h2>",
            "<ul>",
            *(f"<li>{escape(each)}</li>" for each in found["examples"]),
            "</ul>",
        ]
    return document("Diaries", "\n".join(body), CSS)


def _interval(found: Mapping[str, float]) -> str:
    return f"{found['share']:.1%} ({found['low']:.1%} to {found['high']:.1%})"


def _error(found: Mapping[str, float]) -> dict[str, str]:
    return {
        "error": f"{found['error']:.4f} ({found['low']:.4f} to {found['high']:.4f})",
        "a perfect sample": f"{found['perfect']:.4f}",
    }


def _bars(categories: Mapping[str, Mapping[str, float]], most: float) -> str:
    lines = [
        f"<div>{escape(name)}</div><div class='track'><div style='width:{100 * each['people'] / most:.1f}%'></div>"
        f"<span style='left:{100 * each['table'] / most:.1f}%'></span></div>"
        f"<div class='number'>{each['people']:.3f} ({each['low']:.3f} to {each['high']:.3f})</div>"
        for name, each in categories.items()
    ]
    return f"<div class='bars'>{''.join(lines)}</div>"
