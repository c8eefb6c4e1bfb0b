"""The report of a prepared corpus: an offline page with the funnel by step, rejects with examples, distributions."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any

from lilliput.base.chart import STYLE, Chart, Series, figure
from lilliput.base.html import document, escape, table

SIDES = ("before", "after")
CSS = """
.funnel {
  display: grid; grid-template-columns: minmax(9em, max-content) 1fr max-content; gap: .3em .8em; align-items: center;
}
.funnel .track { background: var(--line, #e5e0d4); border-radius: 3px; height: 1.1em; overflow: hidden; display: flex; }
.funnel .kept { background: var(--s0, #0f766e); }
.funnel .gone { background: var(--s1, #c2711c); }
.funnel .number { font-variant-numeric: tabular-nums; text-align: right; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 20em), 1fr)); gap: 1em; }
details { margin: .5em 0; } summary { cursor: pointer; }
.text {
  white-space: pre-wrap; overflow-wrap: anywhere; border-left: 3px solid var(--line, #e5e0d4);
  padding-left: .8em; margin: .4em 0;
}
del { background: #c2711c33; text-decoration: none; } ins { background: #0f766e33; text-decoration: none; }
"""


def page(manifest: Mapping[str, Any]) -> str:
    """Return the page of a manifest."""
    read, kept = (manifest["documents"][side] for side in ("read", "kept"))
    share = f"{kept / read:.1%}" if read else "none"
    sizes = (f"{manifest['bytes'][side] / 1e6:,.1f} MB" for side in ("read", "kept"))
    body = [
        "<h1>Corpus</h1>",
        f"<p>{kept:,} of {read:,} documents are kept ({share}). {' of text were read, and '.join(sizes)} are kept.</p>",
        "<h2>Sources</h2>",
        table({_short(source["describe"]): _source(source) for source in manifest["sources"]}),
        "<h2>Steps</h2>",
        _funnel(manifest["steps"]),
        "<h2>Before and after</h2>",
        table({side: _side(manifest, side, name) for side, name in (("before", "read"), ("after", "kept"))}),
        _charts(manifest),
        _rejects(manifest),
        _pairs(manifest.get("pairs", {})),
        _changes(manifest["steps"]),
    ]
    return document("Corpus", "\n".join(body), STYLE + CSS)


def _short(description: str) -> str:
    return description.rpartition(" · ")[0] or description


def _source(source: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "profile": source["profile"],
        "documents": f"{source['documents_read']:,}",
        "kept": f"{source['documents_kept']:,}",
        "MB": f"{source['bytes_read'] / 1e6:,.1f}",
        "MB kept": f"{source['bytes_kept'] / 1e6:,.1f}",
    }


def _side(manifest: Mapping[str, Any], side: str, name: str) -> dict[str, Any]:
    """The row of one side: what was counted of all documents, and of the sample."""
    values = manifest[side]
    return {
        "documents": f"{manifest['documents'][name]:,}",
        "MB": f"{manifest['bytes'][name] / 1e6:,.1f}",
        "sampled documents": f"{values['sampled_documents']:,}",
        "their words": f"{values['words']:,}",
        "their vocabulary": f"{values['vocabulary']:,}",
        "median words": f"{values.get('words_a_document', 0):,.0f}",
        "median grade": f"{values.get('grade', 0):.1f}",
    }


def _funnel(steps: Sequence[Mapping[str, Any]]) -> str:
    """A bar for each step: the documents that came to it, those that it dropped, and what it changed."""
    rows = []
    for step in steps:
        most = max(other["documents"] for other in steps if other["source"] == step["source"]) or 1
        gone = sum(step["dropped"].values())
        kept = step["documents"] - gone
        where = "" if step["source"] is None else f" (source {step['source']})"
        facts = [f"{kept:,} kept", *([f"{gone:,} dropped"] if gone else [])]
        facts += [f"{step['changed']:,} changed"] if step["changed"] else []
        if step["sampled_words"]:
            facts.append(f"{step['changed_words'] / step['sampled_words']:.2%} of their words")
        if step["seconds"] > 0.05:
            facts.append(f"{step['bytes'] / 1e6 / step['seconds']:,.0f} MB/s")
        bars = f'<span class="kept" style="width:{100 * kept / most:.2f}%"></span>'
        bars += f'<span class="gone" style="width:{100 * gone / most:.2f}%"></span>'
        rows.append(f"<span>{escape(step['kind'] + where)}</span><span class='track'>{bars}</span>")
        rows.append(f"<span class='number'>{escape(', '.join(facts))}</span>")
    return f'<div class="funnel">{"".join(rows)}</div>' if rows else "<p>No step is given: every document is kept.</p>"


def _charts(manifest: Mapping[str, Any]) -> str:
    words = [_series(manifest, side, "words_histogram", lambda x: 10**x) for side in SIDES]
    grades = [_series(manifest, side, "grade_histogram", lambda x: x) for side in SIDES]
    charts = (
        Chart("Words of a document", words, "words", log_x=True),
        Chart("Grade by Flesch and Kincaid", grades, "years of school"),
    )
    return "\n".join(figure(chart) for chart in charts if any(series.points for series in chart.series))


def _series(manifest: Mapping[str, Any], side: str, key: str, place: Callable[[float], float]) -> Series:
    points = [(place(x), count) for x, count in manifest[side].get(key, ())]
    return Series(f"{side} curation", points, SIDES.index(side))


def _rejects(manifest: Mapping[str, Any]) -> str:
    if not manifest["dropped"]:
        return ""
    parts = ["<h2>Dropped documents</h2>", "<p>All of them are in the folder <code>rejects/</code>.</p>"]
    for reason, count in manifest["dropped"].items():
        shown = "".join(
            f"<p><code>{escape(name)}</code></p><div class='text'>{escape(text)}</div>"
            for name, text in manifest["rejects"].get(reason, ())
        )
        parts.append(f"<details><summary>{escape(reason)}: {count:,}</summary>{shown}</details>")
    return "\n".join(parts)


def _pairs(pairs: Mapping[str, Sequence[Sequence[str]]]) -> str:
    """Duplicates, each beside the document that it repeats, with the words that only one of the two has marked."""
    if not pairs:
        return ""
    parts = ["<h2>Duplicates</h2>", "<p>Left the document that stayed, right the one that was dropped.</p>"]
    for kind, each in pairs.items():
        shown = "".join(
            f"<div class='pair'><div><code>{escape(first)}</code><div class='text'>{_marked(stayed, dropped, 'del')}"
            f"</div></div><div><code>{escape(second)}</code><div class='text'>{_marked(dropped, stayed, 'ins')}"
            "</div></div></div>"
            for first, stayed, second, dropped in each
        )
        parts.append(f"<details><summary>{escape(kind)}: {len(each)} pairs</summary>{shown}</details>")
    return "\n".join(parts)


def _marked(text: str, other: str, tag: str) -> str:
    """Return a text with the words marked that the other one does not have at their place."""
    words, others = re.split(r"(\s+)", text), re.split(r"(\s+)", other)
    parts = []
    for kind, start, stop, _, _ in SequenceMatcher(None, words, others, autojunk=False).get_opcodes():
        piece = escape("".join(words[start:stop]))
        parts.append(piece if kind == "equal" or not piece else f"<{tag}>{piece}</{tag}>")
    return "".join(parts)


def _changes(steps: Sequence[Mapping[str, Any]]) -> str:
    changing = [step for step in steps if step["examples"]]
    if not changing:
        return ""
    parts = ["<h2>Changed documents</h2>"]
    for step in changing:
        shown = "".join(
            f"<p><code>{escape(name)}</code></p><div class='text'><del>{escape(old)}</del></div>"
            f"<div class='text'><ins>{escape(new)}</ins></div>"
            for name, old, new in step["examples"]
        )
        parts.append(f"<details><summary>{escape(step['kind'])}: {step['changed']:,}</summary>{shown}</details>")
    return "\n".join(parts)
