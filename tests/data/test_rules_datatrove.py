"""The verdicts of our rules are datatrove's on at least 99% of real documents. Runs where datatrove and spaCy are
installed (`make curation-check`)."""

import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lilliput.data.document import Document
from lilliput.data.steps import Dropped, Step
from lilliput.data.steps.rules import C4, FineWeb, GopherQuality, GopherRepetition

filters: Any = pytest.importorskip("datatrove.pipeline.filters", reason="datatrove is not installed")
pytest.importorskip("spacy", reason="datatrove splits words by spaCy")
from datatrove.data import Document as Theirs  # noqa: E402  # pyright: ignore[reportMissingImports]

PIECE = 6000
"""Characters of a piece of a book."""
PAIRS: dict[str, tuple[Step, Callable[[], Any]]] = {
    "gopher_quality": (GopherQuality(), lambda: filters.GopherQualityFilter()),
    "gopher_repetition": (GopherRepetition(), lambda: filters.GopherRepetitionFilter()),
    "c4": (C4(), lambda: filters.C4QualityFilter()),
    "fineweb": (FineWeb(), lambda: filters.FineWebQualityFilter()),
}


def texts(shared: Path) -> Iterator[str]:
    """Raw web pages, news, picture books, and pieces of children's books."""
    for line in (shared / "prose" / "c4_demo.jsonl").read_text().split("\n")[:-1]:
        yield json.loads(line)["text"]
    with gzip.open(shared / "wikinews" / "train.jsonl.gz", "rt") as file:
        for number, line in enumerate(file):
            if number % 25 == 0:
                yield json.loads(line)["text"]
    for line in (shared / "prose" / "picture_books.jsonl").read_text().split("\n")[:-1]:
        yield str(json.loads(line).get("text", ""))
    with gzip.open(shared / "gutenberg" / "children.valid.jsonl.gz", "rt") as file:
        for line in file:
            book = json.loads(line)["text"][:120_000]
            yield from (book[place : place + PIECE] for place in range(0, len(book), PIECE))


@pytest.mark.parametrize("name", PAIRS)
def test_verdicts_are_datatroves(shared_data: Path, name: str) -> None:
    ours, make = PAIRS[name]
    theirs, documents = make(), [Document(text, "a") for text in texts(shared_data)]
    found = [outcome for place in range(0, len(documents), 200) for outcome in ours.apply_all(documents[place:][:200])]
    differences: list[str] = []
    for document, outcome in zip(documents, found, strict=True):
        verdict = theirs.filter(Theirs(text=document.text, id="a"))
        kept, reason = (True, "") if verdict is True else verdict
        own = outcome.reason if isinstance(outcome, Dropped) else "kept"
        if kept == isinstance(outcome, Dropped):
            differences.append(f"{own} here, {reason or 'kept'} there")
    assert len(differences) <= 0.01 * len(documents), differences
