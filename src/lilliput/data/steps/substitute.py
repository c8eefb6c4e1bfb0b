"""Substitution: words and phrases that take the place of others, in their case and inflection."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Literal, cast

import numpy as np
from pydantic import Field

from lilliput.base.errors import DataError
from lilliput.data.document import Document
from lilliput.data.files import digest
from lilliput.data.steps.inflection import Part, forms
from lilliput.data.steps.measures import Texts, measured
from lilliput.data.steps.step import STEPS, Dropped, Step
from lilliput.data.steps.vocabulary import isin_sorted
from lilliput.storybook.grammar import article

LISTS = Path(__file__).parent / "lists"
SHIPPED = {"plain": ("plain.csv", False), "american": ("spelling.csv", True), "british": ("spelling.csv", False)}
"""The file of each shipped list, and whether its two columns change places."""
LEVELS = ("A1", "A2", "B1", "B2", "C1", "C2")
"""The levels of the Common European Framework of Reference (CEFR), from easy to hard."""


@STEPS.add("substitute")
class Substitute(Step):
    """Replaces words and phrases by others of a list. A replacement has the case and the form of the word that it
    replaces ("Utilized" becomes "Used"), and "a" or "an" before it follows its sound. No document is dropped."""

    kind: Literal["substitute"] = "substitute"
    words: str = Field(
        default="plain",
        description="plain (formal words by plain ones), american or british (spelling), or a CSV file with the "
        "columns word, replacement, and where needed part (verb, noun, adjective, other) and level (A1 to C2)",
    )
    above: Literal["A1", "A2", "B1", "B2", "C1"] | None = Field(
        default=None, description="replace only words of a CEFR level above this one; null: all words of the list"
    )

    def reads(self) -> tuple[str, ...]:
        return (str(LISTS / SHIPPED[self.words][0] if self.words in SHIPPED else Path(self.words).expanduser()),)

    def apply_all(self, documents: Sequence[Document]) -> list[Document | Dropped]:
        texts, places = measured([document.text for document in documents])
        found = _Found(texts, _table(self.words, self.above, digest(Path(*self.reads()))))
        return [
            document if (text := found.text(place)) is None else replace(document, text=text)
            for document, place in zip(documents, places, strict=True)
        ]

    def apply(self, document: Document) -> Document | Dropped:
        return self.apply_all([document])[0]


@dataclass(frozen=True, slots=True)
class Table:
    """Replacements by the hashes of their words: of single words, sorted, and of phrases, the longest first."""

    hashes: np.ndarray
    single: Mapping[int, str]
    phrases: tuple[tuple[np.ndarray, str], ...]


class _Found:
    """The words and phrases of a table in texts."""

    def __init__(self, texts: Texts, table: Table):
        self.texts = texts
        hashes = texts.folded_hashes
        words = np.flatnonzero(isin_sorted(hashes, table.hashes)).tolist()
        hits = {word: (1, table.single[int(hashes[word])]) for word in words}
        for phrase, new in reversed(table.phrases):  # the longest is put in last, and stays
            starts = np.flatnonzero(hashes[: max(0, len(hashes) - len(phrase) + 1)] == phrase[0])
            for place, word in enumerate(phrase[1:], start=1):
                starts = starts[hashes[starts + place] == word]
            inside = texts.text_of[starts] == texts.text_of[starts + len(phrase) - 1]
            hits.update((start, (len(phrase), new)) for start in starts[inside].tolist())
        self.hits: dict[int, list[tuple[int, int, str]]] = {}
        after = -1
        for word in sorted(hits):
            length, new = hits[word]
            if word > after:
                after = word + length - 1
                self.hits.setdefault(int(texts.text_of[word]), []).append((word, after, new))

    def text(self, place: int) -> str | None:
        """Return the changed text; None where nothing is replaced."""
        text, begin, done = self.texts.texts[place], int(self.texts.begins[place]), 0
        pieces: list[str] = []
        for first, last, new in self.hits.get(place, ()):
            start, end = int(self.texts.starts[first]) - begin, int(self.texts.ends[last]) - begin
            new = _in_case(new, text[start:end])
            pieces += [_with_article(text[done:start], new), new]
            done = end
        return None if not pieces else "".join([*pieces, text[done:]])


def _in_case(new: str, old: str) -> str:
    """Return the new words with the capital letters of the old ones."""
    if old.isupper() and len(old) > 1:
        return new.upper()
    return new[:1].upper() + new[1:] if old[:1].isupper() else new


def _with_article(before: str, new: str) -> str:
    """Return the text before a new word with the article that the word's sound asks for."""
    words = before[-4:].split()
    if not before.endswith(" ") or not words or words[-1].lower() not in ("a", "an"):
        return before
    old, stem = words[-1], before[: -1 - len(words[-1])]
    if stem and not stem[-1].isspace() and stem[-1].isalnum():
        return before
    fit = article(new)
    return f"{stem}{fit.capitalize() if old[0].isupper() else fit} "


@lru_cache(maxsize=16)
def _table(words: str, above: str | None, content: str) -> Table:
    """Return the replacements of a list, which has this content, with all forms of its words. Of a form that two rows
    give, the first counts."""
    made: dict[tuple[int, ...], str] = {}
    for old, new, part in _rows(words, above):
        targets = forms(new, part)
        for name, form in forms(old, part).items():
            key = tuple(int(each) for each in Texts([form]).folded_hashes)
            made.setdefault(key, targets.get(name, targets["base"]))
    single = {key[0]: new for key, new in made.items() if len(key) == 1}
    longer = sorted((key for key in made if len(key) > 1), key=lambda key: (-len(key), key))
    phrases = tuple((np.array(key, np.uint64), made[key]) for key in longer)
    return Table(np.sort(np.array(list(single), np.uint64)), single, phrases)


def _rows(words: str, above: str | None) -> list[tuple[str, str, Part]]:
    """Return (word, replacement, part) of each row of a list that is used."""
    name, turned = SHIPPED.get(words, (words, False))
    path = LISTS / name if words in SHIPPED else Path(words).expanduser()
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"cannot read the list {words}: {error}", f"give a CSV file, or one of {', '.join(SHIPPED)}"
        ) from None
    found: list[tuple[str, str, Part]] = []
    for number, row in enumerate(rows, start=2):
        old, new = (str(row.get(key) or "").strip().lower() for key in ("word", "replacement"))
        part, level = str(row.get("part") or "other").strip(), str(row.get("level") or "").strip().upper()
        if not old or not new or part not in ("verb", "noun", "adjective", "other") or (above and level not in LEVELS):
            wanted = "word, replacement, part (verb, noun, adjective, other)" + (", level (A1 to C2)" if above else "")
            raise DataError(f"{words}, line {number}: a row needs {wanted}, and has {dict(row)}")
        if above is None or LEVELS.index(level) > LEVELS.index(above):
            found.append((new, old, cast(Part, part)) if turned else (old, new, cast(Part, part)))
    return found
