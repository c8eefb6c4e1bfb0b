"""Curation: the documents of all sources, mixed, stepped through and told apart into training and validation."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from lilliput.base.errors import DataError
from lilliput.data.config import DataConfig
from lilliput.data.document import Document
from lilliput.data.mix import mix
from lilliput.data.source import Source, hash_of
from lilliput.data.steps import Dropped, normalised

SPLITS = ("train", "validation")


@dataclass(frozen=True, slots=True)
class Item:
    """A document that is kept, the split it belongs to and its UTF-8 size."""

    document: Document
    split: str
    size: int


def place(text: str) -> float:
    """Where a text stands between 0 and 1: a hash of its words, whatever steps change and whatever else is read.
    Texts that differ only in white space and Unicode composition stand at the same place."""
    words = " ".join(normalised(text).split())
    return int.from_bytes(hashlib.blake2b(words.encode("utf-8", "replace"), digest_size=8).digest(), "big") / 2**64


def inputs_key(config: DataConfig) -> str:
    """Hex hash of everything that decides which documents come out, in which order and on which side."""
    sources = [(source.fingerprint(), source.weight) for source in config.sources]
    steps = [(step.kind, step.model_dump(mode="json")) for step in config.steps]
    rest = (config.mix_until, config.errors, config.validation_fraction, config.max_documents)
    return hash_of(sources, steps, rest)


class Curation:
    """Iterate to get the items once, in order; the counts are complete when the iteration has ended."""

    def __init__(self, config: DataConfig):
        self.config = config
        self.documents: Counter[str] = Counter()
        self.drops: Counter[str] = Counter()
        self.by_source = [{"documents": 0, "text_bytes": 0, "dropped": 0} for _ in config.sources]
        self._least = 1.0

    def __iter__(self) -> Iterator[Item]:
        sources = self.config.sources
        streams = [source.documents(self.config.errors) for source in sources]
        mixture = mix(streams, [source.weight for source in sources], self.config.mix_until)
        for number, document in islice(mixture, self.config.max_documents):
            counts = self.by_source[number]
            item = self._item(document)
            if isinstance(item, Dropped):
                self.drops[item.reason] += 1
                counts["dropped"] += 1
                continue
            self.documents[item.split] += 1
            counts["documents"] += 1
            counts["text_bytes"] += item.size
            yield item

    def _item(self, document: Document) -> Item | Dropped:
        document = self._whole(document)
        position = place(document.text)
        outcome: Document | Dropped = document
        for step in self.config.steps:
            outcome = step.apply(document)
            if isinstance(outcome, Dropped):
                return outcome
            document = outcome
        if not document.text or document.text.isspace():
            return Dropped("empty")
        self._least = min(self._least, position)
        split = "validation" if position < self.config.validation_fraction else "train"
        return Item(document, split, len(document.text.encode()))

    def _whole(self, document: Document) -> Document:
        """The document if its text has a UTF-8 form. JSON can spell half a surrogate pair, which has none."""
        try:
            document.text.encode()
        except UnicodeEncodeError as error:
            if self.config.errors == "replace":
                text = document.text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
                return Document(text, document.id, document.meta)
            raise DataError(
                f"{document.id}: half a surrogate pair at character {error.start:,}, which UTF-8 cannot hold",
                "put a replacement character there and go on with: data.errors=replace",
            ) from None
        return document

    def check(self) -> None:
        """Once all is read: raises DataError when there are no documents at all, or none on one side."""
        count, fraction = self.documents.total(), self.config.validation_fraction
        described = "; ".join(source.describe() for source in self.config.sources)
        if count == 0:
            drops = ", ".join(f"{number:,} {reason}" for reason, number in self.drops.items()) or "none"
            raise DataError(f"no documents in {described} (dropped: {drops})", "give more text: --data PATH ...")
        more = f"or cut the text into more documents: {_cut(self.config.sources)}"
        if fraction and not self.documents["validation"]:
            enough = f"data.validation_fraction={min(self._least * 1.01 + 0.001, 0.999):.3f} keeps one back"
            raise DataError(
                f"{_plural(count)}, and none falls to validation ({fraction:.0%} by a hash of the text): {described}",
                f"{enough if count > 1 else 'one document cannot be split'}; {more}",
            )
        if not self.documents["train"]:
            raise DataError(
                f"{_plural(count)}, and none is left to train on ({fraction:.0%} by a hash of the text): {described}",
                f"set data.validation_fraction lower, {more}",
            )


def _plural(count: int) -> str:
    return "there is only one document" if count == 1 else f"there are only {count:,} documents"


def _cut(sources: tuple[Source, ...]) -> str:
    """How to get more documents out of the first text source."""
    number = next((number for number, source in enumerate(sources) if source.kind == "text"), None)
    return "--data MORE" if number is None else rf'data.sources.{number}.separator="\n" (one a line)'


def source_report(source: Source, counts: dict[str, int]) -> dict[str, Any]:
    """What the manifest says of one source."""
    return {"describe": source.describe(), "fingerprint": source.fingerprint(), **counts}
