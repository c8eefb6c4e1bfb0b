"""Chunks: the documents of a group in files of JSON lines, in the order of the source, each of about the same size."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from lilliput.base.damage import read_sealed, write_sealed
from lilliput.base.errors import DataError
from lilliput.data.corpus.plan import Group, Plan
from lilliput.data.document import Document
from lilliput.data.examples import Example
from lilliput.data.source import documents_of

DONE = "chunks.json"


@dataclass(frozen=True, slots=True)
class Chunk:
    """A chunk of a group: its number, and its documents and bytes of text."""

    group: int
    number: int
    documents: int
    bytes: int
    name: str


def read_group(
    plan: Plan, number: int, work: Path, progress: Callable[[int, int], None] = lambda documents, size: None
) -> None:
    """Write the chunks of a group, unless they are there. Chunks of an interrupted run stay as they are. `progress` is
    called with the documents and bytes of each chunk."""
    group = plan.groups[number]
    folder = folder_of(group, work)
    if (folder / DONE).exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    documents = islice(documents_of(plan.source_of(group), group.source, plan.config.errors), plan.config.max_documents)
    sizes: list[tuple[int, int]] = []
    lines: list[str] = []
    size = 0

    def close() -> None:
        nonlocal size
        path = folder / f"{len(sizes):05d}.jsonl"
        if not path.exists():
            write_lines(path, lines)
        sizes.append((len(lines), size))
        progress(len(lines), size)
        lines.clear()
        size = 0

    for document in documents:
        if document.tokens is not None:
            raise DataError(f"{document.id} is made of tokens, and has no text to curate", "give the text itself")
        lines.append(as_line(document, plan.config.errors))
        size += len(lines[-1])
        if size >= plan.config.chunk_bytes:
            close()
    if lines:
        close()
    write_sealed(folder / DONE, {"chunks": sizes})


def chunks_of(plan: Plan, work: Path) -> list[Chunk]:
    """Return the chunks of all groups, which have been read."""
    found: list[Chunk] = []
    for number, group in enumerate(plan.groups):
        sizes = read_sealed(folder_of(group, work) / DONE)["chunks"]
        found += [
            Chunk(number, place, documents, size, f"{group.key[:12]}-{place:05d}")
            for place, (documents, size) in enumerate(sizes)
        ]
    return found


def documents_in(plan: Plan, chunk: Chunk, work: Path) -> list[Document]:
    """Return the documents of a chunk. Raises DataError for a damaged file."""
    path = folder_of(plan.groups[chunk.group], work) / f"{chunk.number:05d}.jsonl"
    try:
        with open(path, encoding="utf-8") as file:
            documents = [document_of(json.loads(line)) for line in file]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path} cannot be used: {error}", f"remove the folder {path.parent}, and prepare again"
        ) from None
    if len(documents) != chunk.documents:
        raise DataError(
            f"{path} holds {len(documents):,} documents in place of {chunk.documents:,}",
            f"remove the folder {path.parent}, and prepare again",
        )
    return documents


def folder_of(group: Group, work: Path) -> Path:
    """Return the folder of a group's chunks."""
    return work / "input" / group.key


def as_line(document: Document, errors: str) -> str:
    """Return a document as a JSON line. Raises DataError for half a surrogate pair, which UTF-8 cannot hold."""
    line = json.dumps(values_of(document), ensure_ascii=False) + "\n"
    try:
        line.encode()
    except UnicodeEncodeError:
        if errors == "strict":
            raise DataError(
                f"{document.id}: half a surrogate pair, which UTF-8 cannot hold", "give errors=replace"
            ) from None
        line = line.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return line


def values_of(document: Document) -> dict[str, Any]:
    """Return a document as JSON values."""
    values: dict[str, Any] = {"id": document.id}
    if document.meta:
        values["meta"] = document.meta
    if document.example is None:
        return {**values, "text": document.text}
    example = document.example
    return {**values, "kind": example.kind, "row": dict(example.row), "columns": dict(example.columns)}


def document_of(values: dict[str, Any]) -> Document:
    """Return the document of JSON values."""
    meta = values.get("meta", {})
    if "kind" not in values:
        return Document(values["text"], values["id"], meta)
    example = Example(values["kind"], values["row"], values["columns"])
    return Document(example.text, values["id"], meta, example=example)


def write_lines(path: Path, lines: list[str]) -> None:
    """Write lines whole or not at all."""
    partial = path.with_name(path.name + ".tmp")
    with open(partial, "w", encoding="utf-8", newline="\n") as file:
        file.writelines(lines)
    partial.replace(path)


def rows_of(document: Document) -> Iterator[tuple[str, Any]]:
    """Yield the columns of a document in a file that training and other tools read."""
    if document.example is None:
        yield "text", document.text
    else:
        yield from document.example.row.items()
        yield from document.example.columns.items()
    yield "id", document.id
    yield from ((key, value) for key, value in document.meta.items() if key not in ("text", "id"))
