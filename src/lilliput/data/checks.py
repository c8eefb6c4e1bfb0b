"""Checks of a corpus: words that language models are known by, over time, and how diverse its documents are."""

from __future__ import annotations

import re
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np

from lilliput.base.errors import DataError
from lilliput.data.document import Document
from lilliput.data.files import FileSource
from lilliput.data.infer import infer_sources
from lilliput.data.steps.measures import Texts
from lilliput.data.steps.vocabulary import read_words
from lilliput.data.steps.word_lists import LISTS, occurrences
from lilliput.data.tables import Table

BATCH = 256
SAMPLED = 4000
"""Documents whose sequences of words are compared for the diversity of a group."""
YEAR = re.compile(r"(?:19|20)\d\d")
CODE, TABLE = re.compile(r"[{};]$|\):$|^(?:def |import |#include)"), re.compile(r"\|.*\||\t.*\t")
ITEM, SPEECH = re.compile(r"^(?:[-*•]|\d{1,3}[.)]) "), re.compile(r"^(?:[\"“—]|[A-Z][\w ]{0,20}: )")
QUESTION = re.compile(r"\?$")
DATES = ("date", "year", "timestamp", "published", "created")
"""Names of columns that may hold a document's date."""
ROUNDS, CONFIDENCE = 1000, 0.95


@dataclass
class Group:
    """What is counted of some documents."""

    documents: int = 0
    words: int = 0
    markers: int = 0
    texts: list[str] = field(default_factory=list)

    @property
    def per_million(self) -> float:
        """Markers for each million words."""
        return 1e6 * self.markers / self.words if self.words else 0.0


def marker_words() -> tuple[str, ...]:
    """Return the words and phrases that language models are known by."""
    return tuple(sorted(read_words(str(LISTS / "synthetic.txt"))))


def year_of(document: Document) -> str:
    """Return the year in a document's meta; "unknown" where none is there."""
    for name in DATES:
        if found := YEAR.search(str(document.meta.get(name, ""))):
            return found[0]
    return "unknown"


def form_of(text: str) -> str:
    """Return the form of a text by its lines: code, table, list, dialogue, questions or prose."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        return "empty"
    signs = {"code": CODE, "table": TABLE, "list": ITEM, "dialogue": SPEECH, "questions": QUESTION}
    shares = {name: sum(sign.search(line) is not None for line in lines) for name, sign in signs.items()}
    name, count = max(shares.items(), key=lambda pair: pair[1])
    return name if count > len(lines) / 2 else "prose"


@dataclass(frozen=True)
class Check:
    """Counts of a corpus by year, by source, by topic and by form; for each marker, how often it occurs; and of each
    document its words and markers, (documents, 2)."""

    by: Mapping[str, Mapping[str, Group]]
    markers: Counter[str]
    each: np.ndarray

    def as_dict(self) -> dict[str, Any]:
        """Return the counts as JSON values."""
        whole = Group(len(self.each), int(self.each[:, 0].sum()), int(self.each[:, 1].sum()))
        return {
            "documents": whole.documents,
            "words": whole.words,
            "markers_per_million": whole.per_million,
            "markers": dict(self.markers.most_common(20)),
            **{name: _table(groups) for name, groups in self.by.items()},
        }


def check(documents: Iterable[tuple[str, Document]]) -> Check:
    """Count the documents of a corpus, each with the name of its source. Raises DataError where there is none."""
    words = marker_words()
    by: dict[str, dict[str, Group]] = {name: defaultdict(Group) for name in ("year", "source", "topic", "form")}
    found: Counter[str] = Counter()
    each: list[np.ndarray] = []
    for batch in _batches(documents):
        texts = Texts([document.text for _, document in batch])
        counts, hits = texts.total(texts.lettered), occurrences(texts, words)
        each.append(np.stack([counts, hits], 1))
        for place in np.flatnonzero(hits):
            text = Texts([texts.texts[int(place)]])
            found.update({word: int(count) for word in words if (count := occurrences(text, (word,))[0])})
        for (source, document), count, hit in zip(batch, counts.tolist(), hits.tolist(), strict=True):
            places = {
                "year": year_of(document),
                "source": source,
                "topic": str(document.meta.get("topic", "unknown")),
                "form": form_of(document.text),
            }
            for name, value in places.items():
                group = by[name][value]
                group.documents, group.words, group.markers = (
                    group.documents + 1,
                    group.words + count,
                    group.markers + hit,
                )
                if len(group.texts) < SAMPLED:
                    group.texts.append(document.text[:5000])
    if not each:
        raise DataError("there are no documents to check", "name files that hold text")
    return Check(by, found, np.concatenate(each))


def synthetic_share(corpus: Check, people: Check, models: Check, seed: int = 0) -> dict[str, float]:
    """Return the share of a corpus's words that language models wrote, with an interval over resampled documents: the
    share at which a mixture of the two references has as many markers for each word (after Liang et al. 2024,
    arXiv:2403.07183). It holds for text like the references', and its interval does not know of other differences.
    Raises DataError where the models' texts have no more markers than the people's."""
    rng = np.random.default_rng(seed)

    def share(sides: Sequence[np.ndarray]) -> float:
        mixed, low, high = (side[:, 1].sum() / max(side[:, 0].sum(), 1) for side in sides)
        return float(np.clip((mixed - low) / (high - low), 0, 1)) if high > low else float("nan")

    sides = [corpus.each, people.each, models.each]
    rates = [1e6 * side[:, 1].sum() / max(side[:, 0].sum(), 1) for side in sides[1:]]
    if rates[0] >= rates[1]:
        raise DataError(
            f"the models' texts have {rates[1]:,.0f} marker words a million, and the people's {rates[0]:,.0f}: nothing "
            "follows from them",
            "give texts of the same sort by a model of 2023 or later",
        )
    rounds = [share([side[rng.integers(len(side), size=len(side))] for side in sides]) for _ in range(ROUNDS)]
    low, high = np.nanquantile(rounds, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return {"share": share(sides), "low": float(low), "high": float(high)}


def _table(groups: Mapping[str, Group]) -> dict[str, Any]:
    """Return the rows of a table, and the effective number of groups: 2 to the power of the entropy of their words."""
    total = sum(group.words for group in groups.values()) or 1
    shares = np.array([group.words / total for group in groups.values() if group.words])
    rows = {
        name: {
            "documents": group.documents,
            "words": group.words,
            "share": group.words / total,
            "markers_per_million": group.per_million,
            **variety(group.texts),
        }
        for name, group in sorted(groups.items())
    }
    return {"effective_number": float(2 ** -(shares * np.log2(shares)).sum()), "rows": rows}


def variety(texts: Sequence[str]) -> dict[str, float]:
    """Return how much texts differ: of the first 50,000 words the share of sequences of three that occur once, and how
    many times smaller the bytes are when packed."""
    joined: list[str] = []
    for text in texts:
        joined += text.lower().split()
        if len(joined) > 50_000:
            break
    words = joined[:50_000]
    triples = Counter(zip(words, words[1:], words[2:], strict=False))
    data = "\n".join(texts)[:1_000_000].encode("utf-8", "replace")
    return {
        "once": sum(count == 1 for count in triples.values()) / max(triples.total(), 1),
        "packed": len(data) / max(len(zlib.compress(data, 6)), 1),
    }


def named(paths: Sequence[str]) -> Iterator[tuple[str, Document]]:
    """Yield the documents of files with the names of their files. Columns that hold a date or a topic are kept."""
    for path in paths:
        for source in infer_sources([path]):
            files = source.files() if isinstance(source, FileSource) else [None]
            for file in files:
                one = source if file is None else source.model_copy(update={"paths": (str(file),)})
                if isinstance(one, Table) and file is not None:
                    columns = next((set(row) for _, row in one.rows(file, "replace")), set[str]())
                    kept = tuple(sorted(columns & {*DATES, "topic"}))
                    one = one.model_copy(update={"keep": kept})
                name = path if file is None else file.name
                yield from ((name, document) for document in one.documents())


def _batches(documents: Iterable[tuple[str, Document]]) -> Iterator[list[tuple[str, Document]]]:
    waiting = iter(documents)
    while batch := list(islice(waiting, BATCH)):
        yield batch
