"""Readability: the school grade of texts by the published formulas, and the step that drops texts above a grade.

The formulas read the number of sentences, words, characters and syllables. Syllables are groups of vowels here, without
a silent e at the end of a word, so a grade differs a little from a grade by a dictionary of syllables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import Field

from lilliput.data.steps.measures import Texts
from lilliput.data.steps.rules import Rules
from lilliput.data.steps.step import STEPS
from lilliput.data.steps.words import VOWEL, folded

CLOSING = " \n\t\"'”’)]"
"""Characters behind the mark that ends a sentence."""
LONG = 3
"""Syllables of a word that counts as difficult in Gunning's index."""


@dataclass(frozen=True, slots=True)
class Counts:
    """(texts,) float each: what the formulas read. A text without words counts as one word."""

    sentences: np.ndarray
    words: np.ndarray
    characters: np.ndarray
    syllables: np.ndarray
    long_words: np.ndarray


def counts_of(texts: Texts) -> Counts:
    """Count sentences, words with a letter, their characters and syllables, and words of 3 syllables or more."""
    word = texts.lettered & ~_one_of(texts.codes[texts.starts], "'’")
    syllables = syllables_of(texts) * word
    words, characters, spoken = (np.maximum(texts.total(each), 1) for each in (word, texts.lengths * word, syllables))
    return Counts(sentences_of(texts), words, characters, spoken, texts.total(syllables >= LONG))


def sentences_of(texts: Texts) -> np.ndarray:
    """(texts,) int64: marks that end a sentence, and 1 for a text that goes on behind the last of them; at least 1."""
    end = _one_of(texts.codes[texts.starts], ".!?…")
    marks = np.flatnonzero(end)
    end[marks] = _one_of(texts.codes[texts.ends[marks]], CLOSING)
    ends = np.concatenate([[0], np.cumsum(end)])
    behind = ends[texts.bounds[1:]][texts.text_of] == ends[1:]  # no sentence ends behind this word
    return np.maximum(texts.total(end) + (texts.total(behind & ~end & texts.lettered) > 0), 1)


def syllables_of(texts: Texts) -> np.ndarray:
    """(words,) int64: groups of vowels of each word, without a silent e; at least 1."""
    vowel = (texts.kinds & VOWEL) > 0
    begins = vowel.copy()
    begins[1:] &= ~vowel[:-1]
    sums = np.concatenate([[0], np.cumsum(begins, dtype=np.int32)])
    count = sums[texts.ends] - sums[texts.starts]
    words = np.flatnonzero((texts.lengths > 2) & (count > 1))
    places = texts.ends[words] - 1
    last, before, third = (folded(texts.codes[places - by]) for by in range(3))
    closed = (texts.kinds[places - 1] & VOWEL) == 0  # a consonant stands before the last letter
    open_third = (texts.kinds[places - 2] & VOWEL) > 0
    silent = (last == ord("e")) & closed & ((before != ord("l")) | open_third)  # but table, little
    silent |= (last == ord("d")) & (before == ord("e")) & ~open_third & ~_one_of(third, "td")  # walked
    silent |= (last == ord("s")) & (before == ord("e")) & ~open_third & ~_one_of(third, "sxzcgh")  # makes
    count[words] -= silent
    return np.maximum(count, 1)


def _one_of(codes: np.ndarray, letters: str) -> np.ndarray:
    """(codes,) bool: which are one of a few letters."""
    found = np.zeros(len(codes), bool)
    for letter in letters:
        found |= codes == ord(letter)
    return found


def flesch_kincaid(counts: Counts) -> np.ndarray:
    """(texts,) the grade of Kincaid et al. 1975."""
    return 0.39 * counts.words / counts.sentences + 11.8 * counts.syllables / counts.words - 15.59


def flesch_ease(counts: Counts) -> np.ndarray:
    """(texts,) reading ease (Flesch 1948): 100 is easy and 0 is hard."""
    return 206.835 - 1.015 * counts.words / counts.sentences - 84.6 * counts.syllables / counts.words


def automated(counts: Counts) -> np.ndarray:
    """(texts,) the automated readability index (Senter and Smith 1967)."""
    return 4.71 * counts.characters / counts.words + 0.5 * counts.words / counts.sentences - 21.43


def coleman_liau(counts: Counts) -> np.ndarray:
    """(texts,) the grade of Coleman and Liau 1975."""
    return 5.88 * counts.characters / counts.words - 29.6 * counts.sentences / counts.words - 15.8


def gunning_fog(counts: Counts) -> np.ndarray:
    """(texts,) the fog index (Gunning 1952)."""
    return 0.4 * (counts.words / counts.sentences + 100 * counts.long_words / counts.words)


GRADES: dict[str, Callable[[Counts], np.ndarray]] = {
    "flesch_kincaid": flesch_kincaid,
    "automated": automated,
    "coleman_liau": coleman_liau,
    "gunning_fog": gunning_fog,
}


@STEPS.add("readability")
class Readability(Rules):
    """Drops documents above or below a school grade, by a formula of readability."""

    kind: Literal["readability"] = "readability"
    formula: Literal["flesch_kincaid", "automated", "coleman_liau", "gunning_fog"] = Field(
        default="flesch_kincaid", description="the formula of the grade"
    )
    max_grade: float = Field(default=6.0, description="the highest grade that is kept, in years of school")
    min_grade: float | None = Field(default=None, description="the lowest grade that is kept; null: any")

    def reasons(self, texts: Texts) -> Iterator[tuple[str, np.ndarray]]:
        grade = GRADES[self.formula](counts_of(texts))
        yield f"readability: above grade {self.max_grade:g}", grade > self.max_grade
        if self.min_grade is not None:
            yield f"readability: below grade {self.min_grade:g}", grade < self.min_grade
