"""Duplicates: documents and paragraphs that came before in the corpus, letter by letter or nearly."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Literal

import numpy as np
from pydantic import Field

from lilliput.data.document import Document
from lilliput.data.steps.measures import Texts
from lilliput.data.steps.minhash import clusters, signatures
from lilliput.data.steps.step import STEPS, CorpusStep, Dropped, Survey


def _hash(text: str) -> int:
    """A 64-bit hash of a text, the same in every process."""
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


@dataclass(frozen=True)
class Marked(Survey):
    """(documents,) bool: the documents that are dropped, in the order of the pass."""

    dropped: np.ndarray
    reason: str

    def begin(self) -> Callable[[Sequence[Document]], list[Document | Dropped]]:
        place = 0

        def outcomes(documents: Sequence[Document]) -> list[Document | Dropped]:
            nonlocal place
            here = self.dropped[place : place + len(documents)]
            place += len(documents)
            pairs = zip(documents, here, strict=True)
            return [Dropped(self.reason) if dropped else document for document, dropped in pairs]

        return outcomes


@dataclass(frozen=True)
class MarkedParagraphs(Survey):
    """(paragraphs,) bool: the paragraphs that are left out, in the order of the pass, of those that are compared."""

    dropped: np.ndarray
    shortest: int

    def begin(self) -> Callable[[Sequence[Document]], list[Document | Dropped]]:
        marks = iter(self.dropped.tolist())

        def outcome(document: Document) -> Document | Dropped:
            parts = document.text.split("\n")
            kept = [part for part in parts if len(part) < self.shortest or not next(marks)]
            if len(kept) == len(parts):
                return document
            return replace(document, text="\n".join(kept)) if any(kept) else Dropped("the same paragraphs before")

        return lambda documents: [outcome(document) for document in documents]


@STEPS.add("exact_duplicates")
class ExactDuplicates(CorpusStep):
    """Drops documents that came before in the corpus, or paragraphs (pieces between line ends) that did. The first
    stays. 25 bytes of memory for each document or paragraph."""

    kind: Literal["exact_duplicates"] = "exact_duplicates"
    of: Literal["documents", "paragraphs"] = Field(default="documents", description="what is compared")
    min_characters: int = Field(
        default=20, ge=0, description="characters of the shortest paragraph that is compared; shorter ones stay"
    )

    def survey(self, batches: Iterator[Sequence[Document]]) -> Survey:
        texts = (document.text for document in chain.from_iterable(batches))
        if self.of == "documents":
            return Marked(_came_before(texts), "the same document before")
        shortest = self.min_characters
        parts = (part for text in texts for part in text.split("\n") if len(part) >= shortest)
        return MarkedParagraphs(_came_before(parts), shortest)


def _came_before(texts: Iterator[str]) -> np.ndarray:
    """(texts,) bool: whether each text came before."""
    hashes = np.frombuffer(array("Q", map(_hash, texts)), np.uint64)
    order = np.argsort(hashes, kind="stable")
    ordered, found = hashes[order], np.zeros(len(hashes), bool)
    found[order[1:]] = ordered[1:] == ordered[:-1]
    return found


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

    def survey(self, batches: Iterator[Sequence[Document]]) -> Marked:
        found = [np.zeros((0, self.bands), np.uint64)]
        for documents in batches:
            texts = Texts([document.text for document in documents])
            found.append(signatures(texts, self.words, self.bands))
        firsts = clusters(np.concatenate(found), self.similarity)
        return Marked(firsts != np.arange(len(firsts)), "nearly the same document before")
