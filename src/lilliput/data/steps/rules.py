"""The rules of Gopher, C4 and FineWeb: documents that do not read like text written by people are dropped.

The thresholds are the publications': Gopher (Rae et al. 2021, arXiv:2112.11446, table A1), C4 (Raffel et al. 2020,
arXiv:1910.10683) and FineWeb (Penedo et al. 2024, arXiv:2406.17557). The verdicts are those of datatrove's filters, but
for words, which are split here by a pattern of our own (tests/data/test_rules_datatrove.py lists the differences).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from pydantic import Field

from lilliput.data.document import Document
from lilliput.data.steps.measures import Texts, measured
from lilliput.data.steps.step import STEPS, Dropped, Step

ELLIPSES = ("...", "…")
ENDS = tuple(".?!。！？；…")
"""Characters that end a line of prose."""


class Rules(Step):
    """A step that drops by measures of the texts, of many texts at once."""

    def reasons(self, texts: Texts) -> Iterator[tuple[str, np.ndarray]]:
        """Yield a reason and (texts,) bool: the texts that it drops. A text is dropped by the first reason that holds.
        The lines of a text are read only where no earlier reason holds."""
        raise NotImplementedError

    def by_lines(self, text: str) -> str | None:
        """Return why a text that no other reason drops is dropped by its lines; None where it is kept."""
        return None

    def apply_all(self, documents: Sequence[Document]) -> list[Document | Dropped]:
        texts, places = measured([document.text for document in documents])
        found: list[str | None] = [None] * len(texts.texts)
        for reason, held in self.reasons(texts):
            for place in np.flatnonzero(held):
                found[place] = found[place] or reason
        outcomes: list[Document | Dropped] = []
        for document, place in zip(documents, places, strict=True):
            reason = found[place] or self.by_lines(document.text)
            outcomes.append(document if reason is None else Dropped(reason))
        return outcomes

    def apply(self, document: Document) -> Document | Dropped:
        return self.apply_all([document])[0]


@STEPS.add("gopher_quality")
class GopherQuality(Rules):
    """Drops documents of too few or too many words, of odd words, of symbols, lists and cut lines."""

    kind: Literal["gopher_quality"] = "gopher_quality"
    min_words: int = Field(default=50, ge=0, description="words, but for marks, of the shortest document that is kept")
    max_words: int = Field(default=100_000, gt=0, description="the same of the longest document that is kept")
    min_word_length: float = Field(default=3, ge=0, description="least mean length of words, in characters")
    max_word_length: float = Field(default=10, gt=0, description="largest mean length of words")
    max_symbols: float = Field(default=0.1, ge=0, description="most '#', and most ellipses, for each word")
    max_bullets: float = Field(default=0.9, ge=0, le=1, description="largest share of lines that begin with a bullet")
    max_ellipses: float = Field(default=0.3, ge=0, le=1, description="largest share of lines that end in an ellipsis")
    min_letters: float = Field(default=0.8, ge=0, le=1, description="least share of words with a letter")
    min_stop_words: int = Field(default=2, ge=0, description="least number of different stop words")
    stop_words: tuple[str, ...] = Field(
        default=("the", "be", "to", "of", "and", "that", "have", "with"), description="the stop words"
    )

    def reasons(self, texts: Texts) -> Iterator[tuple[str, np.ndarray]]:
        real = ~texts.bare
        words, count = texts.total(real), texts.counts
        yield "gopher: few words", words < self.min_words
        yield "gopher: many words", words > self.max_words
        mean = texts.total(real * texts.lengths) / np.maximum(words, 1)
        yield "gopher: short words", mean < self.min_word_length
        yield "gopher: long words", mean > self.max_word_length
        yield "gopher: hash signs", _count(texts, "#") > self.max_symbols * count
        yield "gopher: ellipses", _count(texts, *ELLIPSES) > self.max_symbols * count
        yield "gopher: words without letters", texts.total(texts.lettered) < self.min_letters * count
        yield "gopher: few stop words", texts.different(self.stop_words) < self.min_stop_words

    def by_lines(self, text: str) -> str | None:
        lines = text.splitlines()
        if sum(line.lstrip().startswith(("•", "-")) for line in lines) > self.max_bullets * len(lines):
            return "gopher: bullets"
        if sum(line.rstrip().endswith(ELLIPSES) for line in lines) > self.max_ellipses * len(lines):
            return "gopher: lines cut by an ellipsis"
        return None


def _count(texts: Texts, *marks: str) -> np.ndarray:
    """(texts,) int64: how often these marks occur in each text."""
    found = (sum(text.count(mark) for mark in marks) for text in texts.texts)
    return np.fromiter(found, np.int64, len(texts.texts))


PARAGRAPHS = re.compile(r"\n{2,}")


@STEPS.add("gopher_repetition")
class GopherRepetition(Rules):
    """Drops documents that repeat their lines, paragraphs or sequences of words."""

    kind: Literal["gopher_repetition"] = "gopher_repetition"
    max_lines: float = Field(default=0.3, ge=0, le=1, description="largest share of lines that came before")
    max_paragraphs: float = Field(default=0.3, ge=0, le=1, description="the same of paragraphs")
    max_line_characters: float = Field(default=0.2, ge=0, le=1, description="largest share of characters in such lines")
    max_paragraph_characters: float = Field(default=0.2, ge=0, le=1, description="the same of paragraphs")
    max_top: Mapping[int, float] = Field(
        default={2: 0.20, 3: 0.18, 4: 0.16},
        description="largest share of characters in the most frequent sequence of so many words",
    )
    max_repeated: Mapping[int, float] = Field(
        default={5: 0.15, 6: 0.14, 7: 0.13, 8: 0.12, 9: 0.11, 10: 0.10},
        description="largest share of characters in sequences of so many words that came before",
    )

    def reasons(self, texts: Texts) -> Iterator[tuple[str, np.ndarray]]:
        yield "empty", texts.sizes == 0
        for n, most in self.max_top.items():
            yield f"gopher: one sequence of {n} words", texts.top_gram(n) > most * texts.sizes
        for n, most in self.max_repeated.items():
            yield f"gopher: repeated sequences of {n} words", texts.repeated(n, most) > most * texts.sizes

    def by_lines(self, text: str) -> str | None:
        for name, parts, most, characters in (
            ("paragraphs", _paragraphs(text.strip()), self.max_paragraphs, self.max_paragraph_characters),
            ("lines", _lines(text), self.max_lines, self.max_line_characters),
        ):
            count, size = duplicates(parts)
            if count > most * len(parts) or size > characters * len(text):
                return f"gopher: repeated {name}"
        return None


def _paragraphs(text: str) -> list[str]:
    """Cut a text at two line ends or more."""
    return PARAGRAPHS.split(text) if "\n\n" in text else [text]


def _lines(text: str) -> list[str]:
    """Cut a text at one line end or more, as datatrove does: an end before the first line, or behind the last, makes
    an empty line."""
    lines = [line for line in text.split("\n") if line]
    if text.startswith("\n"):
        lines.insert(0, "")
    return [*lines, ""] if text.endswith("\n") or not text else lines


@STEPS.add("fineweb")
class FineWeb(Step):
    """Drops documents of lines without an end, short lines, repeated lines, and lists."""

    kind: Literal["fineweb"] = "fineweb"
    min_ended: float = Field(default=0.12, ge=0, le=1, description="least share of lines that end like a sentence")
    max_short: float = Field(default=0.67, ge=0, le=1, description="largest share of short lines")
    short_line: int = Field(default=30, gt=0, description="characters of a short line at most")
    max_repeated: float = Field(default=0.01, ge=0, le=1, description="largest share of characters in repeated lines")
    max_line_ends: float = Field(default=0.3, ge=0, description="most line ends for each word")

    def apply_all(self, documents: Sequence[Document]) -> list[Document | Dropped]:
        lists = self._lists([document.text for document in documents])
        reasons = (
            "fineweb: a list" if one else self.by_lines(document.text)
            for document, one in zip(documents, lists, strict=True)
        )
        return [
            document if reason is None else Dropped(reason) for document, reason in zip(documents, reasons, strict=True)
        ]

    def apply(self, document: Document) -> Document | Dropped:
        return self.apply_all([document])[0]

    def _lists(self, texts: Sequence[str]) -> list[bool]:
        """Return which texts have too many line ends for their words. A text has at least as many words as pieces
        between white space, so most texts need not be split into words."""
        ends = [text.count("\n") for text in texts]
        near = [place for place, text in enumerate(texts) if ends[place] > self.max_line_ends * len(text.split())]
        found = [False] * len(texts)
        for place, words in zip(near, Texts([texts[place] for place in near]).counts if near else (), strict=True):
            found[place] = ends[place] > self.max_line_ends * int(words)
        return found

    def by_lines(self, text: str) -> str | None:
        """Return why a text is dropped by its lines; None where it is kept."""
        lines = [line for line in text.split("\n") if line and not line.isspace()]
        if not lines:
            return "empty"
        if sum(line.endswith(ENDS) for line in lines) < self.min_ended * len(lines):
            return "fineweb: lines without an end"
        if sum(len(line) <= self.short_line for line in lines) > self.max_short * len(lines):
            return "fineweb: short lines"
        if duplicates(lines)[1] > self.max_repeated * (len(text) - text.count("\n")):
            return "fineweb: repeated lines"
        return None


CITATION = re.compile(r"\[\d*]|\[edit]|\[citation needed]")
POLICIES = ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies")


@STEPS.add("c4")
class C4(Step):
    """Keeps the lines of prose of a document, and drops documents with few sentences, braces or filler text. The marks
    of Wikipedia's citations are removed."""

    kind: Literal["c4"] = "c4"
    min_sentences: int = Field(default=5, ge=0, description="least sentences of the lines that are kept")
    min_words: int = Field(default=3, ge=0, description="least words of a line, by white space")
    max_word_length: int = Field(default=1000, gt=0, description="longest word of a line, in characters")
    lines_end: bool = Field(default=True, description="keep only lines that end in . ? ! or a quotation mark")
    braces: bool = Field(default=True, description="drop documents with a '{', as code has")

    def apply(self, document: Document) -> Document | Dropped:
        kept, count = list[str](), 0
        for line in document.text.splitlines():
            line = line.strip()
            words = line.split()
            if len(line) > self.max_word_length and any(len(word) > self.max_word_length for word in words):
                continue
            line = CITATION.sub("", line) if "[" in line else line
            if self.lines_end and (not line.endswith((".", "?", "!", '"', "'")) or line.endswith("...")):
                continue
            if len(words) < self.min_words:
                continue
            lower = line.lower()
            if "lorem ipsum" in lower:
                return Dropped("c4: lorem ipsum")
            if "javascript" in lower:
                continue
            if self.braces and "{" in line:
                return Dropped("c4: braces")
            if any(policy in lower for policy in POLICIES):
                continue
            count += sentences(line) if count < self.min_sentences else 0
            kept.append(line)
        if count < self.min_sentences:
            return Dropped("c4: few sentences")
        text = "\n".join(kept).strip()
        return document if text == document.text else replace(document, text=text)


SENTENCE_END = re.compile(r"[.!?…]+(?<!\bMr\.)(?<!\bMrs\.)(?<!\bMs\.)(?<!\bDr\.)(?<!\b[A-Z]\.)[\"'”’)\]]*(?=\s|$)")
"""The marks at the end of a sentence: not the full stop of a title or an initial."""


def sentences(text: str) -> int:
    """Return the number of sentences of a text: of its ends of sentences, and 1 for a rest without an end."""
    ends = [found.end() for found in SENTENCE_END.finditer(text)]
    rest = text[ends[-1] :] if ends else text
    return len(ends) + (bool(rest) and not rest.isspace())


def duplicates(parts: Sequence[str]) -> tuple[int, int]:
    """Return the number of parts that came before in the list, and their characters."""
    if len(set(parts)) == len(parts):
        return 0, 0
    seen: set[str] = set()
    count = size = 0
    for part in parts:
        if part in seen:
            count, size = count + 1, size + len(part)
        seen.add(part)
    return count, size
