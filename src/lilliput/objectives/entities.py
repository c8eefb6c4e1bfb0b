"""Entities: the spans that tags of words describe, and how well spans were found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

OUTSIDE = "O"
"""The tag of a word that belongs to no entity."""

Span = tuple[int, int, str]
"""An entity: its first word, the word behind its last word, and its type."""


def tags_of(labels: Sequence[str]) -> tuple[str, ...]:
    """The tags of words: the labels themselves where O is one of them, else O, and B- and I- for each type of entity.

    >>> tags_of(["person"])
    ('O', 'B-person', 'I-person')
    """
    if OUTSIDE in labels:
        return tuple(labels)
    return (OUTSIDE, *(f"{begin}-{label}" for label in labels for begin in "BI"))


def odd_tags(tags: Iterable[str]) -> list[str]:
    """The tags that are neither O nor B-TYPE nor I-TYPE."""
    return [tag for tag in tags if tag != OUTSIDE and (tag[:2] not in ("B-", "I-") or len(tag) == 2)]


def spans_of(tags: Iterable[str]) -> list[Span]:
    """The entities in a text's tags, as CoNLL's script finds them: B- begins an entity, and I- continues an entity of
    its type, or begins one where the word before has none of its type.

    >>> spans_of(["B-place", "I-place", "O", "I-person", "B-person"])
    [(0, 2, 'place'), (3, 4, 'person'), (4, 5, 'person')]
    """
    found, begun, place = list[Span](), None, 0
    for place, tag in enumerate((*tags, OUTSIDE)):
        begins, _, kind = tag.partition("-")
        goes_on = begins == "I" and begun is not None and begun[1] == kind
        if begun is not None and not goes_on:
            found.append((begun[0], place, begun[1]))
            begun = None
        if begins in ("B", "I") and not goes_on:
            begun = (place, kind)
    return found


@dataclass(frozen=True, slots=True)
class Found:
    """Counts of entities in texts; an entity is right where its words and its type are exactly those of the data.

    right, found, wanted  the entities that are right, that the model names, and that the data has
    """

    right: int
    found: int
    wanted: int

    @property
    def precision(self) -> float:
        """The share of the named entities that are right; 0 where none is named."""
        return self.right / self.found if self.found else 0.0

    @property
    def recall(self) -> float:
        """The share of the data's entities that are named; 0 where it has none."""
        return self.right / self.wanted if self.wanted else 0.0

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall, over all entities together (CoNLL's micro average)."""
        both = self.found + self.wanted
        return 2 * self.right / both if both else 0.0


def compare(found: Sequence[Sequence[str]], wanted: Sequence[Sequence[str]]) -> Found:
    """Compare the tags of texts with those of the data."""
    ours = [set(spans_of(tags)) for tags in found]
    theirs = [set(spans_of(tags)) for tags in wanted]
    right = sum(len(one & other) for one, other in zip(ours, theirs, strict=True))
    return Found(right, sum(map(len, ours)), sum(map(len, theirs)))


def dictionary(words: Iterable[Sequence[str]], tags: Iterable[Sequence[str]]) -> dict[str, str]:
    """The most frequent tag of each word; of equally frequent tags the one that comes first in the alphabet."""
    seen: dict[str, Counter[str]] = {}
    for text, its in zip(words, tags, strict=True):
        for word, tag in zip(text, its, strict=True):
            seen.setdefault(word, Counter())[tag] += 1
    return {word: min(counts, key=lambda tag: (-counts[tag], tag)) for word, counts in seen.items()}
