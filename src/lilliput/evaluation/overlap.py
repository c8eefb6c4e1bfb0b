"""Overlap of an evaluation set with the training text: shared runs of n words, as GPT-3's authors counted them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lilliput.base.errors import ConfigError

WORD = re.compile(r"[\w']+")
N = 13


@dataclass(frozen=True, slots=True)
class Overlap:
    """The overlap of an evaluation set with a training text.

    items      items of the set
    short      items of fewer than n words, which are too short to compare
    found      items that hold a run of n words which the training text holds too
    examples   some of these runs
    """

    n: int
    items: int
    short: int
    found: int
    examples: tuple[str, ...]
    documents: int

    def as_dict(self) -> dict[str, Any]:
        """Plain values, with `share`: of the items that are long enough, how many were found."""
        long = self.items - self.short
        return {
            "n": self.n,
            "items": self.items,
            "short": self.short,
            "found": self.found,
            "share": self.found / long if long else None,
            "training_documents": self.documents,
            "examples": list(self.examples),
        }


def overlap(
    sets: Mapping[str, Sequence[str]],
    training: Iterable[str],
    n: int = N,
    done: Callable[[int], None] = lambda documents: None,
) -> dict[str, Overlap]:
    """The overlap of each evaluation set (its items as texts) with the training texts, which are read once.

    Words are compared in lower case and without punctuation (Brown et al. 2020, appendix C, where n is 13). A run is
    found where a training text holds exactly these words. The same text in other words is not found. Raises ConfigError
    for n below 1."""
    if n < 1:
        raise ConfigError(f"n is {n}; a run has at least 1 word")
    numbers: dict[str, int] = {}
    split = {name: [_words(text) for text in texts] for name, texts in sets.items()}
    runs: dict[tuple[str, ...], set[tuple[str, int]]] = {}
    for name, items in split.items():
        for place, item in enumerate(items):
            for word in item:
                numbers.setdefault(word, len(numbers) + 1)
            for start in range(len(item) - n + 1):
                runs.setdefault(tuple(item[start : start + n]), set()).add((name, place))
    wanted = np.unique(np.array([_hash([numbers[word] for word in run]) for run in runs], dtype=np.uint64))
    shared: dict[tuple[str, ...], None] = {}
    documents = 0
    for text in training:
        for run in _runs(_words(text), numbers, wanted, n):
            if run in runs:
                shared[run] = None
        documents += 1
        done(1)
    hits = {name: {place for run in shared for owner, place in runs[run] if owner == name} for name in sets}
    return {
        name: Overlap(
            n=n,
            items=len(items),
            short=sum(len(item) < n for item in items),
            found=len(hits[name]),
            examples=tuple(" ".join(run) for run in shared if any(owner == name for owner, _ in runs[run]))[:3],
            documents=documents,
        )
        for name, items in split.items()
    }


def _words(text: str) -> list[str]:
    return WORD.findall(text.lower())


FACTOR = 6364136223846793005


def _hash(numbers: Sequence[int]) -> int:
    """A polynomial of the words' numbers modulo 2^64."""
    value = 0
    for number in numbers:
        value = (value * FACTOR + number) % 2**64
    return value


def _runs(words: list[str], numbers: dict[str, int], wanted: np.ndarray, n: int) -> Iterable[tuple[str, ...]]:
    """The runs of n words whose hashes are compared. A run with a word that no item has is left out."""
    if len(words) < n or not len(wanted):
        return
    ids = np.array([numbers.get(word, 0) for word in words], dtype=np.uint64)
    count = len(ids) - n + 1
    value = np.zeros(count, dtype=np.uint64)
    for step in range(n):
        value = value * np.uint64(FACTOR) + ids[step : step + count]
    place = np.minimum(np.searchsorted(wanted, value), len(wanted) - 1)
    for start in np.flatnonzero(wanted[place] == value):
        yield tuple(words[start : start + n])
