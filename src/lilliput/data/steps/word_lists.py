"""Steps that count the words of lists: topics by keyword, and documents with toxic or biased words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from lilliput.data.document import Document
from lilliput.data.files import digest
from lilliput.data.steps.measures import Texts, measured
from lilliput.data.steps.rules import Rules
from lilliput.data.steps.step import STEPS, Dropped, Step
from lilliput.data.steps.vocabulary import isin_sorted, read_words

LISTS = Path(__file__).parent / "lists"
SHIPPED = ("toxic", "biased")


@STEPS.add("word_list")
class WordList(Rules):
    """Drops documents with words or phrases of a list. The shipped lists find text that is written in these words, and
    no other: docs/curation.md has their recall."""

    kind: Literal["word_list"] = "word_list"
    words: str = Field(default="toxic", description="toxic, biased, or a file with a word or a phrase a line")
    most: int = Field(default=0, ge=0, description="most occurrences in a document that is kept")
    most_per_thousand: float | None = Field(
        default=None, ge=0, description="most occurrences for each thousand words, in place of `most`; null: `most`"
    )

    def reads(self) -> tuple[str, ...]:
        return (str(LISTS / f"{self.words}.txt" if self.words in SHIPPED else Path(self.words).expanduser()),)

    def reasons(self, texts: Texts) -> Iterator[tuple[str, np.ndarray]]:
        count = occurrences(texts, _phrases(*self.reads(), digest(Path(*self.reads()))))
        allowed = self.most
        if self.most_per_thousand is not None:
            allowed = self.most_per_thousand / 1000 * np.maximum(texts.total(texts.lettered), 1)
        name = self.words if self.words in SHIPPED else Path(self.words).stem
        yield f"word list: {name}", count > allowed


@STEPS.add("topics")
class Topics(Step):
    """Finds the topic of each document by keywords, and keeps or drops documents by it. The topic with the most
    keywords for each thousand words is the document's, and stands in its meta as `topic`."""

    kind: Literal["topics"] = "topics"
    topics: Mapping[str, tuple[str, ...]] = Field(description="keywords, or phrases, of each topic by its name")
    keep: tuple[str, ...] = Field(default=(), description="topics that are kept; none: all topics")
    drop: tuple[str, ...] = Field(default=(), description="topics that are dropped")
    min_per_thousand: float = Field(
        default=2.0, ge=0, description="keywords for each thousand words of a topic at least"
    )

    def apply_all(self, documents: Sequence[Document]) -> list[Document | Dropped]:
        texts, places = measured([document.text for document in documents])
        names = list(self.topics)
        found = np.stack([occurrences(texts, tuple(self.topics[name])) for name in names])[:, places]
        rates = 1000 * found / np.maximum(texts.total(texts.lettered)[places], 1)
        best = rates.argmax(0)
        enough = (rates.max(0) >= self.min_per_thousand) & (rates.max(0) > 0)
        return [
            self._outcome(document, names[place] if held else "other")
            for document, place, held in zip(documents, best, enough, strict=True)
        ]

    def apply(self, document: Document) -> Document | Dropped:
        return self.apply_all([document])[0]

    def _outcome(self, document: Document, topic: str) -> Document | Dropped:
        if topic in self.drop or (self.keep and topic not in self.keep):
            return Dropped(f"topic: {topic}")
        return replace(document, meta={**document.meta, "topic": topic})


def occurrences(texts: Texts, phrases: tuple[str, ...]) -> np.ndarray:
    """(texts,) int64: how often words or phrases occur in each text, whatever their case. A phrase is a sequence of
    words, split as the text is; phrases that overlap each count."""
    singles, longer = _hashed(phrases)
    hashes = texts.folded_hashes
    found = texts.total(isin_sorted(hashes, singles))
    for phrase in longer:
        starts = np.flatnonzero(hashes[: max(0, len(hashes) - len(phrase) + 1)] == phrase[0])
        for place, word in enumerate(phrase[1:], start=1):
            starts = starts[hashes[starts + place] == word]
        inside = texts.text_of[starts] == texts.text_of[starts + len(phrase) - 1] if len(starts) else starts
        found += np.bincount(texts.text_of[starts[inside]] if len(starts) else starts, minlength=len(found))
    return found


@lru_cache(maxsize=64)
def _hashed(phrases: tuple[str, ...]) -> tuple[np.ndarray, list[np.ndarray]]:
    """The sorted hashes of single words, and the hashes of the words of each phrase."""
    split = [Texts([phrase]).folded_hashes for phrase in phrases]
    singles = np.sort(np.array([each[0] for each in split if len(each) == 1], np.uint64))
    return singles, [each for each in split if len(each) > 1]


@lru_cache(maxsize=16)
def _phrases(path: str, content: str) -> tuple[str, ...]:
    """Return the words and phrases of a file, which has this content."""
    return tuple(sorted(read_words(path)))
