"""The words of the story world, read from the data that stories are told from."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any

from lilliput.storybook import barriers, people, phrases, scenery
from lilliput.storybook.grammar import PRONOUNS, Person, Place
from lilliput.storybook.world import plots

_WORD = re.compile(r"[a-z]+(?:'[a-z]+)?")
_SLOT = re.compile(r"\{[^}]*\}")
_SENTENCE_END = re.compile(r'(?<=[.!?])\s+(?=["A-Z])|(?<=[.!?]")\s+(?=["A-Z])')


def tokens(text: str) -> list[str]:
    """Return the words of `text` in lower case, without punctuation and without a possessive 's."""
    return [word.removesuffix("'s") for word in _WORD.findall(text.lower())]


def sentences(text: str) -> list[str]:
    """Cut `text` after each full stop, question or exclamation mark (and its closing quote) that is followed by a
    capital or an opening quote."""
    return [sentence for sentence in _SENTENCE_END.split(text.strip()) if sentence]


@cache
def word_forms() -> frozenset[str]:
    """Return every word form that a story may have."""
    sources: list[Any] = [vars(module) for module in (barriers, people, phrases, scenery)]
    for _, plot in plots():
        sources += [vars(sys.modules[type(plot).__module__]), vars(type(plot))]
    written = " \n ".join(
        text
        for source in sources
        for name, value in source.items()
        if not name.startswith("__")
        for text in _strings(value)
    )
    spoken = set(tokens(_SLOT.sub(" ", written)))
    return frozenset(spoken.union(*PRONOUNS.values(), ("a", "an", "the", "hand", "hands", "paw", "paws")))


@cache
def things() -> frozenset[str]:
    """Return every noun that may be the thing of a story (see Plan.thing)."""
    return frozenset(str(thing) for _, plot in plots() for thing in plot.things())


@cache
def closing_words() -> tuple[frozenset[str], frozenset[str]]:
    """Return the feelings and the lessons at the end of stories."""
    ends = [end for _, plot in plots() for end in plot.ends]
    feelings = frozenset(feeling for end in ends for feeling in end.feelings)
    return feelings, frozenset(lesson for end in ends for lesson in end.lessons)


def _strings(value: Any) -> Iterator[str]:
    """Yield every string inside data of strings, tuples, mappings and dataclasses."""
    if isinstance(value, str):
        yield str(value)
        if isinstance(value, Person):
            yield value.kind
        if isinstance(value, Place):
            yield from (value.at, value.to)
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _strings(item)
    elif isinstance(value, dict):
        yield from _strings(tuple(value.items()))
    elif is_dataclass(value) and not isinstance(value, type):
        yield from _strings(tuple(getattr(value, field.name) for field in fields(value)))
