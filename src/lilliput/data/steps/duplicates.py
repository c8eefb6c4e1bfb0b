"""Duplicates: documents and paragraphs that came before in the corpus, letter by letter or nearly."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from pydantic import Field

from lilliput.data.document import Document
from lilliput.data.steps.measures import Texts
from lilliput.data.steps.minhash import clusters, signatures
from lilliput.data.steps.step import STEPS, CorpusStep, Dropped


def _hash(text: str) -> int:
    """A 64-bit hash of a text, the same in every process."""
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


@STEPS.add("exact_duplicates")
class ExactDuplicates(CorpusStep):
    """Drops documents that came before in the corpus, or paragraphs (pieces between line ends) that did. The first
    stays. 40 bytes of memory for each document or paragraph."""

    kind: Literal["exact_duplicates"] = "exact_duplicates"
    of: Literal["documents", "paragraphs"] = Field(default="documents", description="what is compared")
    min_characters: int = Field(
        default=20, ge=0, description="characters of the shortest paragraph that is compared; shorter ones stay"
    )

    def digest(self, documents: Sequence[Document]) -> np.ndarray:
        """(documents or paragraphs,) uint64: their hashes."""
        texts = (document.text for document in documents)
        if self.of == "paragraphs":
            texts = (part for text in texts for part in text.split("\n") if len(part) >= self.min_characters)
        return np.frombuffer(array("Q", map(_hash, texts)), np.uint64)

    def decide(self, digests: Iterator[np.ndarray]) -> list[np.ndarray]:
        """(documents or paragraphs,) int64 each: the place of the first one that is the same, or -1 for a first."""
        found = list(digests)
        hashes = np.concatenate([np.zeros(0, np.uint64), *found])
        order = np.argsort(hashes, kind="stable")
        ordered, firsts = hashes[order], np.empty(len(hashes), np.int64)
        begins = np.concatenate([[True], ordered[1:] != ordered[:-1]]) if len(hashes) else np.zeros(0, bool)
        firsts[order] = order[np.maximum.accumulate(np.where(begins, np.arange(len(hashes)), 0))]
        return parts_of(_repeats(firsts), found)

    def conclude(self, documents: Sequence[Document], part: np.ndarray) -> list[Document | Dropped]:
        if self.of == "documents":
            return marked(documents, part, "the same document before")
        marks = iter((part >= 0).tolist())
        return [self._without(document, marks) for document in documents]

    def _without(self, document: Document, marks: Iterator[bool]) -> Document | Dropped:
        """Return the document without the marked ones of the paragraphs that are compared."""
        paragraphs = document.text.split("\n")
        kept = [one for one in paragraphs if len(one) < self.min_characters or not next(marks)]
        if len(kept) == len(paragraphs):
            return document
        return replace(document, text="\n".join(kept)) if any(kept) else Dropped("the same paragraphs before")


def _repeats(firsts: np.ndarray) -> np.ndarray:
    """(rows,) int64: the first row like each row, or -1 where that is the row itself."""
    return np.where(firsts == np.arange(len(firsts)), -1, firsts)


def parts_of(decided: np.ndarray, digests: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Cut a decision on all rows into those of each digest."""
    return np.split(decided, np.cumsum([len(digest) for digest in digests])[:-1]) if digests else []


def marked(documents: Sequence[Document], part: np.ndarray, reason: str) -> list[Document | Dropped]:
    """Drop the documents of a batch for which (documents,) int64 `part` has the place of another, and not -1."""
    pairs = zip(documents, part.tolist(), strict=True)
    return [document if like < 0 else Dropped(reason, like) for document, like in pairs]


@STEPS.add("near_duplicates")
class NearDuplicates(CorpusStep):
    """Drops documents that share most of their sequences of words with a document before (MinHash with LSH; Broder
    1997). 192 bytes of memory for each document.

    Two documents are compared where one of `bands` pieces of their signatures is equal, and are alike where the
    estimated Jaccard similarity of their sequences is at least `similarity`."""

    kind: Literal["near_duplicates"] = "near_duplicates"
    words: int = Field(default=5, ge=1, description="words of a sequence")
    bands: int = Field(default=24, ge=1, le=64, description="pieces of a signature, of 8 minima of one byte each")
    similarity: float = Field(default=0.6, gt=0, le=1, description="least estimated similarity of duplicates")

    def digest(self, documents: Sequence[Document]) -> np.ndarray:
        """(documents, bands) uint64: their signatures."""
        return signatures(Texts([document.text for document in documents]), self.words, self.bands)

    def decide(self, digests: Iterator[np.ndarray]) -> list[np.ndarray]:
        """(documents,) int64 each: the place of the first document that is nearly the same, or -1 for a first."""
        found = list(digests)
        firsts = clusters(np.concatenate([np.zeros((0, self.bands), np.uint64), *found]), self.similarity)
        return parts_of(_repeats(firsts), found)

    def conclude(self, documents: Sequence[Document], part: np.ndarray) -> list[Document | Dropped]:
        return marked(documents, part, "nearly the same document before")
