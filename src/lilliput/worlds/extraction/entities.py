"""Entities: examples of the tagged words of files, such as WNUT-17, each type of entity as a list of verbatim texts."""

from __future__ import annotations

from functools import cached_property
from random import Random
from typing import Literal

from pydantic import Field

from lilliput.base.errors import DataError
from lilliput.data.conll import Conll
from lilliput.worlds.extraction.making import MAKERS, Example, Maker
from lilliput.worlds.extraction.template import read_template

HELD_OUT_EVERY = 10
"""One sentence in so many is held out."""


@MAKERS.add("entities")
class Entities(Maker):
    """Sentences of CoNLL files in BIO tags. A template asks for some types of entities, and each gets the entities of
    the sentence in their order. One sentence in ten is held out."""

    kind: Literal["entities"] = "entities"
    paths: tuple[str, ...] = Field(min_length=1, description="CoNLL files: a word and its BIO tag a line")

    @cached_property
    def _sentences(self) -> list[tuple[str, dict[str, list[str]]]]:
        found = []
        for document in Conll(paths=self.paths).documents():
            row = document.example.row if document.example else {}
            found.append((document.text, entities_of(row["words"], row["tags"])))
        if not any(entities for _, entities in found):
            raise DataError(f"{', '.join(self.paths)} holds no entity", "give files of words with BIO tags")
        return found

    @cached_property
    def types(self) -> list[str]:
        """The types of entities in the files."""
        return sorted({kind for _, entities in self._sentences for kind in entities})

    def example(self, random: Random, held_out: bool) -> Example:
        every = [
            each for place, each in enumerate(self._sentences) if (place % HELD_OUT_EVERY == 0) == held_out
        ] or self._sentences
        text, entities = random.choice(every)
        count = random.randrange(1, len(self.types) + 1)
        # A type that the sentence has is asked for, so that not nearly all lists are empty.
        chosen = {*random.sample(self.types, count), *random.sample(sorted(entities), min(1, len(entities)))}
        asked = [kind for kind in self.types if kind in chosen]
        template = {kind: ["verbatim-string"] for kind in asked}
        return Example(text, read_template(template), {kind: entities.get(kind, []) for kind in asked})


def entities_of(words: list[str], tags: list[str]) -> dict[str, list[str]]:
    """Return the entities of each type, in order, without duplicates.

    >>> entities_of(["Ida", "Moss", "saw", "Oslo"], ["B-person", "I-person", "O", "B-location"])
    {'person': ['Ida Moss'], 'location': ['Oslo']}
    """
    found = list[tuple[str, list[str]]]()
    inside = False
    for word, tag in zip(words, tags, strict=True):
        mark, _, kind = tag.partition("-")
        if mark == "I" and inside and found[-1][0] == kind:
            found[-1][1].append(word)
        elif kind:
            found.append((kind, [word]))
        inside = bool(kind)
    made: dict[str, list[str]] = {}
    for kind, parts in found:
        text = " ".join(parts)
        if text not in made.setdefault(kind, []):
            made[kind].append(text)
    return made
