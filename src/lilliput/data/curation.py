"""Curation: mix the documents of all sources, apply the steps, and split them into training and validation."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np

from lilliput.base.errors import DataError
from lilliput.data.batches import batches
from lilliput.data.config import DataConfig
from lilliput.data.document import Document, Tokens
from lilliput.data.mix import mix
from lilliput.data.profiles import choose, steps_of
from lilliput.data.source import Source, documents_of, hash_of
from lilliput.data.steps import CorpusStep, Dropped, Step, normalised, step_into

Batch = Sequence[tuple[int, Document]]
"""Documents with the numbers of their sources."""
Decisions = dict[int, list[np.ndarray]]
"""What each CorpusStep decided, by its number: the part of each batch."""
SPLITS = ("train", "validation")


@dataclass(frozen=True, slots=True)
class Item:
    """A kept document with its split, its size in UTF-8 bytes and its place (see `place`)."""

    document: Document
    split: str
    size: int
    place: float


def place(text: str) -> float:
    """Return the place of a text between 0 and 1, a hash of its words. A document belongs to validation where its place
    is small.

    The place does not depend on the other documents. Texts that differ only in white space and Unicode composition have
    the same place, so that a copy of a training text never lands in validation."""
    words = " ".join(normalised(text).split())
    return int.from_bytes(hashlib.blake2b(words.encode("utf-8", "replace"), digest_size=8).digest(), "big") / 2**64


def inputs_key(config: DataConfig) -> str:
    """Return the hex hash of every input that decides the documents, their order and their splits."""
    sources = [(source.fingerprint(), source.weight) for source in config.sources]
    steps = [(step.fingerprint(), number) for step, number in planned(config)]
    rest = (config.mix_until, config.errors, config.validation_fraction, config.max_documents)
    return hash_of(sources, steps, rest)


def planned(config: DataConfig) -> list[tuple[Step, int | None]]:
    """Return every step with the number of the source whose documents it sees (None: all): the steps of each source's
    profile, and then those of the data."""
    found: list[tuple[Step, int | None]] = []
    for number, source in enumerate(config.sources):
        profile = source.profile
        if profile == "auto":
            profile = choose(documents_of(source, number, config.errors))
        found += [(step, number) for step in steps_of(profile)]
    return [*found, *((step, None) for step in config.steps)]


class Curation:
    """An iterable of the kept documents, once and in order. The counts are complete when the iteration has ended."""

    def __init__(self, config: DataConfig):
        self.config = config
        self.steps = planned(config)
        self.documents: Counter[str] = Counter()
        self.drops: Counter[str] = Counter()
        self.by_source = [{"documents": 0, "text_bytes": 0, "dropped": 0} for _ in config.sources]
        self.only_example = False
        """Whether the only document is an example, which has no two parts."""
        self.kept_back: str | None = None
        """A sentence on the document that was moved or cut, in a corpus whose hashes all fell on one side."""

    def __iter__(self) -> Iterator[Item]:
        for item in _both_sides(self._items(), self):
            self.documents[item.split] += 1
            yield item

    def _items(self) -> Iterator[Item]:
        decisions: Decisions = {}
        for number, (step, source) in enumerate(self.steps):
            if isinstance(step, CorpusStep):
                decisions[number] = step.decide(map(step.digest, self._before(number, source, decisions)))
        for at, batch in enumerate(self._batches()):
            for (number, _), item in zip(batch, self._kept(batch, at, decisions), strict=True):
                counts = self.by_source[number]
                if isinstance(item, Dropped):
                    self.drops[item.reason] += 1
                    counts["dropped"] += 1
                    continue
                counts["documents"] += 1
                counts["text_bytes"] += item.size
                yield item

    def _batches(self) -> Iterator[list[tuple[int, Document]]]:
        """Yield the documents of the mixture in batches, each with the number of its source."""
        sources = self.config.sources
        streams = [documents_of(source, number, self.config.errors) for number, source in enumerate(sources)]
        mixture = mix(streams, [source.weight for source in sources], self.config.mix_until)
        return batches(islice(mixture, self.config.max_documents), lambda pair: len(pair[1].text))

    def _before(self, last: int, source: int | None, decisions: Decisions) -> Iterator[list[Document]]:
        """Yield the documents of a source (None: of all) as they come to step number `last`."""
        for at, batch in enumerate(self._batches()):
            outcomes = self._outcomes([(number, self._whole(each)) for number, each in batch], at, decisions, last)
            yield [
                outcome
                for (number, _), outcome in zip(batch, outcomes, strict=True)
                if isinstance(outcome, Document) and source in (None, number)
            ]

    def _kept(self, batch: Batch, at: int, decisions: Decisions) -> list[Item | Dropped]:
        """Apply all steps to batch number `at`."""
        whole = [(number, self._whole(document)) for number, document in batch]
        places = [place(each.text if each.example is None else each.example.key) for _, each in whole]
        outcomes = self._outcomes(whole, at, decisions, len(self.steps))
        return [self._item(outcome, where) for outcome, where in zip(outcomes, places, strict=True)]

    def _outcomes(self, batch: Batch, at: int, decisions: Decisions, last: int) -> list[Document | Dropped]:
        """Apply the steps before number `last` to batch number `at`."""
        outcomes: list[Document | Dropped] = [document for _, document in batch]
        for number, (step, source) in enumerate(self.steps[:last]):
            part = decisions[number][at] if number in decisions else None
            seen = None if source is None else [one == source for one, _ in batch]
            if seen is None or any(seen) or part is not None:
                step_into(outcomes, step, part, seen)
        return outcomes

    def _item(self, outcome: Document | Dropped, position: float) -> Item | Dropped:
        if isinstance(outcome, Dropped):
            return outcome
        if not outcome.text or outcome.text.isspace():
            return Dropped("empty")
        split = "validation" if position < self.config.validation_fraction else "train"
        return Item(outcome, split, outcome.size, position)

    def _whole(self, document: Document) -> Document:
        """Return the document if its text has a UTF-8 form. JSON can spell half a surrogate pair, which has no such
        form."""
        try:
            document.text.encode()
        except UnicodeEncodeError as error:
            if self.config.errors == "replace":
                if document.example is None:
                    return replace(document, text=_paired(document.text))
                example = document.example.mapped(_paired)
                return replace(document, text=_paired(example.text), example=example)
            raise DataError(
                f"{document.id}: half a surrogate pair at character {error.start:,}, which UTF-8 cannot hold",
                "put a replacement character there: data.errors=replace",
            ) from None
        return document

    def check(self) -> None:
        """Check the counts after the iteration. Raises DataError for no documents at all, or no documents on one
        side."""
        count, fraction = self.documents.total(), self.config.validation_fraction
        described = "; ".join(source.describe() for source in self.config.sources)
        if count == 0:
            drops = ", ".join(f"{number:,} {reason}" for reason, number in self.drops.items()) or "none"
            raise DataError(f"no documents in {described} (dropped: {drops})", "give more text: --data PATH ...")
        if fraction and self.only_example:
            raise DataError(
                f"there is only one example, and an example is never cut in two: {described}",
                "give more examples, of which one is held out for validation: --data MORE",
            )
        if fraction and not (self.documents["validation"] and self.documents["train"]):
            raise DataError(
                f"the only document is too short to keep a part of it for validation: {described}",
                f"give more text: --data MORE, or cut it into more documents: {_cut(self.config.sources)}",
            )


def _paired(text: str) -> str:
    """Return the text with U+FFFD for each half of a surrogate pair."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


WAITING_BYTES = 2**26
"""Most bytes of text that are held until both sides have a document. A larger corpus is not small, and is not cut."""
SHORTEST_PART = 20
"""Least characters of a part when a single document is cut in two."""


def _both_sides(items: Iterator[Item], curation: Curation) -> Iterator[Item]:
    """Yield the items in their order, with at least one on each side.

    Where the hashes of a small corpus all fall on one side, the document whose hash is nearest to the other side is
    moved there, with the examples of the same prompt. A single text is cut in two, and an example never is."""
    waiting: list[Item] = []
    sides: set[str] = set()
    size = 0
    for item in items:
        waiting.append(item)
        sides.add(item.split)
        size += item.size
        if len(sides) == 2 or not curation.config.validation_fraction or size > WAITING_BYTES:
            yield from waiting
            yield from items
            return
    if len(waiting) == 1:
        curation.only_example = waiting[0].document.example is not None
        yield from waiting if curation.only_example else _cut_in_two(waiting[0], curation)
    elif waiting:
        nearest = (min if sides == {"train"} else max)(waiting, key=lambda item: item.place)
        other = "validation" if sides == {"train"} else "train"
        purpose = "held out for validation" if other == "validation" else "used for training"
        curation.kept_back = f"of only {len(waiting):,} documents {nearest.document.id} is {purpose}"
        moved = [item for item in waiting if item is nearest or (item.document.example and item.place == nearest.place)]
        if len(moved) == len(waiting):
            curation.kept_back += ", although all of them have one prompt"
            moved = [nearest]
        elif len(moved) > 1:
            curation.kept_back += f", with the {len(moved) - 1:,} other examples of its prompt"
        chosen = set(map(id, moved))
        yield from (replace(item, split=other) if id(item) in chosen else item for item in waiting)


def _cut_in_two(item: Item, curation: Curation) -> Iterator[Item]:
    """Yield the beginning of a document for training and its end for validation.

    The cut is at the beginning of a paragraph, else of a sentence, else of a word. A document that is too short stays
    whole, and `check` reports it."""
    text, document = item.document.text, item.document
    wanted = round(len(text) * (1 - max(curation.config.validation_fraction, 0.1)))
    breaks = ([found.end() for found in pattern.finditer(text, wanted // 2)] for pattern in BREAKS)
    fitting = ([at for at in places if SHORTEST_PART <= at <= len(text) - SHORTEST_PART] for places in breaks)
    places = next(filter(None, fitting), None)
    if places is None:
        yield replace(item, split="train")
        return
    middle = min(places, key=lambda at: abs(at - wanted))
    last = f"its last {len(text) - middle:,} characters are held out for validation"
    advice = f"for more documents: {_cut(curation.config.sources)}"
    curation.kept_back = f"the only document, {document.id}, is cut: {last}; {advice}"
    for split, part in zip(SPLITS, _parts(document, middle), strict=True):
        yield Item(replace(part, id=f"{document.id}:{split}"), split, part.size, item.place)


def _parts(document: Document, middle: int) -> list[Document]:
    """Cut a document at a character. A document of tokens is cut at the end of the token that holds this character."""
    text, tokens = document.text, document.tokens
    if tokens is None:
        return [replace(document, text=part) for part in (text[:middle].rstrip(), text[middle:])]
    ends = np.cumsum(tokens.tokenizer.token_bytes()[tokens.ids])
    cut = int(np.searchsorted(ends, len(text[:middle].encode()))) + 1
    parts = []
    for ids, continuing in ((tokens.ids[:cut], False), (tokens.ids[cut:], True)):
        data = tokens.tokenizer.decode_bytes(ids.tolist(), continuing)
        kept = Tokens(ids, tokens.tokenizer, len(data))
        parts.append(replace(document, text=data.decode("utf-8", "replace"), tokens=kept))
    return parts


BREAKS = (re.compile(r"\n[^\S\n]*\n+"), re.compile(r"\n|(?<=[.!?])\s+"), re.compile(r"\s+"))
"""Places where a document may be cut, best first: between paragraphs, sentences, words."""


def _cut(sources: tuple[Source, ...]) -> str:
    """Return the option that makes more documents of the first text source."""
    number = next((number for number, source in enumerate(sources) if source.kind == "text"), None)
    return "--data MORE" if number is None else rf"""'data.sources.{number}.separator="\n"' (one a line)"""


def source_report(source: Source, counts: dict[str, int]) -> dict[str, Any]:
    """Return the manifest's entry of one source."""
    return {"describe": source.describe(), "fingerprint": source.fingerprint(), **counts}
