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
class Repeats(Survey):
    """The hashes of parts that occur twice or more. In a pass, the first part with a hash stays."""

    hashes: frozenset[int]
    split: Callable[[str], list[str]]
    joint: str
    reason: str

    def begin(self) -> Callable[[Sequence[Document]], list[Document | Dropped]]:
        seen: set[int] = set()

        def again(part: str) -> bool:
            hashed = _hash(part)
            if hashed not in self.hashes:
                return False
            known = hashed in seen
            seen.add(hashed)
            return known

        def outcome(document: Document) -> Document | Dropped:
            parts = self.split(document.text)
            kept = [part for part in parts if not again(part)]
            if len(kept) == len(parts):
                return document
            return replace(document, text=self.joint.join(kept)) if any(kept) else Dropped(self.reason)

        return lambda documents: [outcome(document) for document in documents]


@STEPS.add("exact_duplicates")
class ExactDuplicates(CorpusStep):
    """Drops documents that came before in the corpus, or paragraphs (pieces between line ends) that did. The first
    stays. 8 bytes of memory for each document or paragraph."""

    kind: Literal["exact_duplicates"] = "exact_duplicates"
    of: Literal["documents", "paragraphs"] = Field(default="documents", description="what is compared")
    min_characters: int = Field(
        default=20, ge=0, description="characters of the shortest paragraph that counts; shorter ones stay"
    )

    def survey(self, batches: Iterator[Sequence[Document]]) -> Repeats:
        hashes = array("Q")
        for document in chain.from_iterable(batches):
            hashes.extend(_hash(part) for part in self.parts(document.text) if self.counts(part))
        found = np.sort(np.frombuffer(hashes, np.uint64))
        doubled = np.unique(found[1:][found[1:] == found[:-1]])
        joint = "" if self.of == "documents" else "\n"
        return Repeats(frozenset(doubled.tolist()), self.parts, joint, f"the same {self.of} before")

    def parts(self, text: str) -> list[str]:
        """The parts of a text that are compared."""
        return [text] if self.of == "documents" else text.split("\n")

    def counts(self, part: str) -> bool:
        """Whether a part is compared at all."""
        return self.of == "documents" or len(part) >= self.min_characters


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
