"""Exporting: labels as the rows that objectives train on, in TRL's columns."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lilliput.base.console import typed
from lilliput.base.errors import DataError
from lilliput.base.files import write_text
from lilliput.data.examples import Kind, Turns
from lilliput.lab.labelling.record import Prompt, Record, pairs
from lilliput.lab.labelling.store import live

FILES: dict[Kind, str] = {
    "preference": "preferences.jsonl",
    "completion": "demonstrations.jsonl",
    "rating": "ratings.jsonl",
}


def rows_of(records: Sequence[Record], labeller: str | None = None) -> dict[Kind, list[dict[str, Any]]]:
    """The rows of the answers that count, by kind: of every labeller, or of one.

    preference  prompt, chosen, rejected: every pair of a ranking whose replies are not equal
    completion  prompt, completion: demonstrations
    rating      prompt, completion, label (bool)
    """
    rows: dict[Kind, list[dict[str, Any]]] = {kind: [] for kind in FILES}
    for record in live(records):
        if labeller is not None and record.labeller != labeller:
            continue
        prompt, answer = record.prompt, record.answer
        texts = [_reply(prompt, text) for text in record.texts]
        if isinstance(answer, str):
            rows["completion"].append({"prompt": prompt, "completion": _reply(prompt, answer)})
        elif isinstance(answer, bool):
            rows["rating"].append({"prompt": prompt, "completion": texts[0], "label": answer})
        elif answer is not None:
            rows["preference"] += [
                {"prompt": prompt, "chosen": texts[better], "rejected": texts[worse]} for better, worse in pairs(answer)
            ]
    return rows


def _by_form(kind: Kind, rows: Sequence[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """The rows by the name of their file: those of texts, and those of messages."""
    texts = [row for row in rows if isinstance(row["prompt"], str)]
    chats = [row for row in rows if not isinstance(row["prompt"], str)]
    name = FILES[kind]
    own = name.replace(".jsonl", "-messages.jsonl") if texts else name
    return {name: found for name, found in ((name, texts), (own, chats)) if found}


def _reply(prompt: Prompt, text: str) -> Turns:
    """A reply in the form of its prompt: text after text, a message after messages."""
    return text if isinstance(prompt, str) else [{"role": "assistant", "content": text}]


def export(
    records: Sequence[Record], folder: Path, labeller: str | None = None, replace: bool = False
) -> dict[str, int]:
    """Write a JSONL file for each kind of row that there is. A file holds rows of texts or of messages, not both: where
    a kind has both, the rows of messages have a file of their own, such as preferences-messages.jsonl. Returns the
    rows of each file. Raises DataError without a row, and for a file that is there already unless `replace`."""
    by_kind = rows_of(records, labeller)
    files = {folder / name: rows for kind, of_kind in by_kind.items() for name, rows in _by_form(kind, of_kind).items()}
    if not files:
        whose = f" of '{labeller}'" if labeller is not None else ""
        raise DataError(f"there is no answer{whose} to export", "label first: lilliput label RUN")
    if there := [path for path in files if path.exists() and not replace]:
        raise DataError(f"{there[0]} is there already", f"choose another folder than {typed(folder)}, or add --replace")
    folder.mkdir(parents=True, exist_ok=True)
    for path, rows in files.items():
        write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return {str(path): len(rows) for path, rows in files.items()}
