"""Vocabulary: documents whose words a short list covers, and documents of rare words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from lilliput.base.errors import DataError
from lilliput.base.reading import open_regular
from lilliput.data.document import Document
from lilliput.data.steps.measures import Texts, measured
from lilliput.data.steps.step import STEPS, CorpusStep, Dropped
from lilliput.data.steps.words import hash_of_word

KEPT_WORDS = 2**21
"""Different words that are counted at most: the rarest ones are forgotten where a corpus has more."""


class WordCounts(CorpusStep):
    """A step that decides by how often each word occurs in the corpus, whatever its case."""

    def digest(self, documents: Sequence[Document]) -> np.ndarray:
        """(different words, 2) uint64: the hash of each word and its count."""
        texts, places = measured([document.text for document in documents])
        if len(set(places)) < len(places):  # the same string twice
            texts, places = Texts([document.text for document in documents]), range(len(documents))
        words, counts = np.unique(words_of(texts, places), return_counts=True)
        return np.stack([words, counts.astype(np.uint64)], 1)

    def decide(self, digests: Iterator[np.ndarray]) -> list[np.ndarray]:
        """(words,) uint64, sorted: the hashes of the words that `chosen` takes, for each batch the same."""
        total, waiting, batches, size = np.zeros((0, 2), np.uint64), list[np.ndarray](), 0, 0
        for digest in digests:
            batches += 1
            waiting.append(digest)
            size += len(digest)
            if size > KEPT_WORDS:
                total, waiting, size = _most(_added([total, *waiting]), KEPT_WORDS), [], 0
        chosen = np.sort(self.chosen(_added([total, *waiting])))
        return [chosen] * batches

    def chosen(self, counted: np.ndarray) -> np.ndarray:
        """Return the hashes of the words that matter, of (words, 2) hashes and counts."""
        raise NotImplementedError

    def shares(self, documents: Sequence[Document], part: np.ndarray) -> np.ndarray:
        """(documents,) float: the share of each document's words that are among those of the decision."""
        texts, places = measured([document.text for document in documents])
        word = texts.lettered
        held = isin_sorted(texts.folded_hashes, part) & word
        return (texts.total(held) / np.maximum(texts.total(word), 1))[places]


def words_of(texts: Texts, places: Sequence[int]) -> np.ndarray:
    """(words,) uint64: the hashes of the words with a letter of the texts at these places, whatever their case."""
    chosen = np.zeros(len(texts.texts), bool)
    chosen[places] = True
    return texts.folded_hashes[texts.lettered & chosen[texts.text_of]]


def isin_sorted(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """(values,) bool: which values are among the sorted known ones."""
    if not len(known):
        return np.zeros(len(values), bool)
    places = np.minimum(np.searchsorted(known, values), len(known) - 1)
    return known[places] == values


def _added(counts: Sequence[np.ndarray]) -> np.ndarray:
    """Add the counts of equal words."""
    rows = np.concatenate(counts)
    words, places = np.unique(rows[:, 0], return_inverse=True)
    sums = np.zeros(len(words), np.uint64)
    np.add.at(sums, places, rows[:, 1])
    return np.stack([words, sums], 1)


def _most(counted: np.ndarray, number: int) -> np.ndarray:
    """The most frequent words. Of equally frequent words, those with the smaller hashes."""
    return counted[np.lexsort((counted[:, 0], -counted[:, 1].astype(np.int64)))[:number]]


@STEPS.add("vocabulary")
class Vocabulary(WordCounts):
    """Drops documents whose words are not covered by a list of words: the most frequent words of the corpus, or those
    of a file."""

    kind: Literal["vocabulary"] = "vocabulary"
    size: int = Field(default=10_000, gt=0, description="most frequent words of the corpus that make the list")
    words: str | None = Field(default=None, description="a file with a word a line, in place of the corpus's own")
    min_coverage: float = Field(default=0.95, ge=0, le=1, description="least share of a document's words in the list")

    def reads(self) -> tuple[str, ...]:
        return (str(Path(self.words).expanduser()),) if self.words else ()

    def digest(self, documents: Sequence[Document]) -> np.ndarray:
        return np.zeros((0, 2), np.uint64) if self.words else super().digest(documents)

    def chosen(self, counted: np.ndarray) -> np.ndarray:
        if self.words is None:
            return _most(counted, self.size)[:, 0]
        return np.array([hash_of_word(word) for word in sorted(read_words(self.words))], np.uint64)

    def conclude(self, documents: Sequence[Document], part: np.ndarray) -> list[Document | Dropped]:
        low = self.shares(documents, part) < self.min_coverage
        return [
            Dropped("vocabulary: low coverage") if drop else each for each, drop in zip(documents, low, strict=True)
        ]


@STEPS.add("rare_words")
class RareWords(WordCounts):
    """Drops documents with a large share of words that are rare in the corpus."""

    kind: Literal["rare_words"] = "rare_words"
    count: int = Field(default=5, gt=0, description="a word that occurs fewer times than this in the corpus is rare")
    max_share: float = Field(default=0.1, ge=0, le=1, description="largest share of a document's words that are rare")

    def chosen(self, counted: np.ndarray) -> np.ndarray:
        return counted[counted[:, 1] >= self.count, 0]

    def conclude(self, documents: Sequence[Document], part: np.ndarray) -> list[Document | Dropped]:
        many = 1 - self.shares(documents, part) > self.max_share
        return [Dropped("rare words") if drop else each for each, drop in zip(documents, many, strict=True)]


def read_words(path: str) -> set[str]:
    """Return the words of a file, a word a line, in small letters. Lines that begin with # are left out. Raises
    DataError for a file without words."""
    try:
        with open_regular(Path(path).expanduser()) as file:
            text = file.read().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read the words of {path}: {error}", "give a text file with a word a line") from None
    lines = (line.strip() for line in text.splitlines())
    words = {line.lower() for line in lines if line and not line.startswith("#")}
    if not words:
        raise DataError(f"{path} holds no words", "give a text file with a word a line")
    return words
