"""SourceText: a text as the model reads it, and where each part of it stands in the text that was given."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

WORD = re.compile(r"\S+")


@dataclass(frozen=True)
class SourceText:
    """The words of `given[start:stop]`, one space before each word. A word has the same tokens wherever it stands then,
    in the text and in the JSON, so that copying it is easy for a small model."""

    given: str
    start: int = 0
    stop: int | None = None

    @cached_property
    def words(self) -> list[tuple[int, int]]:
        """The start and end of each word, which is what stands between white space."""
        stop = len(self.given) if self.stop is None else self.stop
        return [found.span() for found in WORD.finditer(self.given, self.start, stop)]

    @cached_property
    def shown(self) -> str:
        """The text as the model reads it: its words, a space before each."""
        return "".join(f" {self.given[start:stop]}" for start, stop in self.words)

    @cached_property
    def chunks(self) -> list[str]:
        """The parts of `shown` between which a verbatim value may begin and end: words and marks, with the space before
        them. Joined they are `shown`."""
        made: list[str] = []
        for character in self.shown:
            if made and (made[-1] == " " or _joined(made[-1][-1], character)):
                made[-1] += character
            else:
                made.append(character)
        return made

    @cached_property
    def _places(self) -> list[int]:
        """The place in `given` of each character of `shown`; of a space, the place of the word behind it."""
        return [place for start, stop in self.words for place in (start, *range(start, stop))]

    def spans(self, value: str) -> Iterator[tuple[int, int]]:
        """Yield where a value stands in `given`, first places first. White space may differ, and words are whole."""
        wanted = " ".join(value.split())
        if not wanted:
            return
        starts, at = set(self._bounds), 0
        while (at := self.shown.find(wanted, at)) >= 0:
            # A value begins behind the space of its first chunk.
            if (at in starts or (at - 1 in starts and self.shown[at - 1] == " ")) and at + len(wanted) in starts:
                yield self._places[at], self._places[at + len(wanted) - 1] + 1
            at += 1

    @cached_property
    def _bounds(self) -> list[int]:
        found = [0]
        for chunk in self.chunks:
            found.append(found[-1] + len(chunk))
        return found


def _joined(before: str, character: str) -> bool:
    """Return whether a word goes on from one character to the next. Scripts without spaces have wide letters, and each
    of them is a word here."""
    if unicodedata.category(character)[0] == "M":
        return _in_word(before)
    wide = any(unicodedata.east_asian_width(each) in "WF" for each in (before, character))
    return _in_word(before) and _in_word(character) and not wide


def _in_word(character: str) -> bool:
    return character == "_" or unicodedata.category(character)[0] in "LMN"
