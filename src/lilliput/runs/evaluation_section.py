"""The section of a run's report with the results of `lilliput evaluate`: text, held-out rows, benchmarks, overlap."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lilliput.base.html import escape, table
from lilliput.base.reading import read_object
from lilliput.runs.record import RunRecord, as_number
from lilliput.runs.run_folder import RunFolder


def evaluation(record: RunRecord) -> str:
    """Return the section as HTML; empty for a run that was not evaluated. A damaged evaluation.json is reported."""
    file = RunFolder(record.path).evaluation
    if not file.is_file():
        return ""
    try:
        found = read_object(file)
        drawn = [draw(found[key]) for key, draw in SECTIONS.items() if found.get(key)]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return f'<h2>Evaluated afterwards</h2><p class="quiet">{escape(file.name)} cannot be used: {escape(error)}</p>'
    return "".join(["<h2>Evaluated afterwards</h2>", *drawn]) if drawn else ""


def _text(found: Mapping[str, Any]) -> str:
    columns = {"this model": {**_bits(found["sources"]), "total": found["bits_per_byte"]}, **found["controls"]}
    names = [*found["sources"], "total"] if len(found["sources"]) > 1 else ["total"]
    rows = {name: {column: _digits(values.get(name)) for column, values in columns.items()} for name in names}
    context, stride = found["context_length"], found["stride"]
    note = (
        f"Bits per byte by source, on {found['tokens']:,} tokens. Windows of {context} tokens, stride {stride}: past a "
        f"document's start every token sees at least {context - stride} others."
    )
    return _titled("Held-out text", note, table(rows))


def _held_out(found: Mapping[str, Any]) -> str:
    rows = {
        name: {"accuracy": f"{one['accuracy']:.1%}", "95% interval": f"{one['low']:.1%} to {one['high']:.1%}"}
        for name, one in found.get("accuracies", {}).items()
    }
    figures = {name: {"": _digits(value)} for name, value in found.items() if as_number(value) is not None}
    return _titled("Held-out rows", "Measured anew on the held-out rows of the run.", table(rows or figures))


def _bits(sources: Mapping[str, Any]) -> dict[str, Any]:
    return {name: score["bits_per_byte"] for name, score in sources.items()}


def _benchmarks(found: list[Mapping[str, Any]]) -> str:
    rows = {}
    for row in found:
        cells: dict[str, str] = {}
        for place, (name, score) in enumerate(row["scores"].items()):
            column = "this model" if place == 0 else name
            cells[column] = f"{_digits(score['score'])} ± {_digits(score['stderr'])}, {score['verdict']}"
        rows[f"{row['task']} ({row['metric']})"] = {"items": row["items"], "chance": _digits(row["chance"]), **cells}
    return _titled("Benchmarks", "Score and standard error; ties count half.", table(rows))


def _overlap(found: Mapping[str, Any]) -> str:
    rows = {
        name: {
            "items": one["items"],
            "too short to tell": one["short"],
            "found": one["found"],
            "share": "-" if one["share"] is None else f"{one['share']:.2%}",
        }
        for name, one in found.items()
    }
    n = next(iter(found.values()))["n"]
    note = f"Items that share a run of {n} words with the training text: what they score may be remembered."
    return _titled("Overlap with the training text", note, table(rows))


def _titled(title: str, note: str, body: str) -> str:
    return f'<h3>{title}</h3><p class="quiet">{escape(note)}</p>{body}'


def _digits(value: Any) -> str:
    number = as_number(value)
    return "-" if number is None else f"{number:.3f}"


SECTIONS: dict[str, Callable[[Any], str]] = {
    "text": _text,
    "held_out": _held_out,
    "benchmarks": _benchmarks,
    "overlap": _overlap,
}
