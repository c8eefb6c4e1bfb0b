"""Counts over true stories of one seed, made once a process in a second or two: the usage of the story world."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import NamedTuple

from lilliput.storybook.hero import children
from lilliput.storybook.people import ELDERS
from lilliput.storybook.vocabulary import sentences, things, tokens
from lilliput.storybook.world import plots, story

SEED, STORIES = 770_417_003, 5_000
"""The stories that are counted. No recipe trains on this seed, and true stories of other seeds score as true."""
EDGE = "#"
"""Stands before and after each sentence."""
_ELDERS = frozenset(str(elder).split()[-1].lower() for elder in ELDERS)
_CHILDREN = {name.lower(): name for name in children()}

Pair = tuple[str, str]


class Place(NamedTuple):
    """The usual place of a pair of words in a story, from 0 to 1: the mean, and the weight of the mean (1 /
    variance)."""

    mean: float
    weight: float


@dataclass(frozen=True, slots=True)
class Usage:
    """The counts. `pairs` holds for each pair of neighbouring words the plots with this pair, as a bit for each plot.
    `triples` holds every triple of neighbouring words, and `places` the usual places of pairs. `together` holds pairs
    of nouns that occur in the same story. `firsts` holds the words before the first mention of a person or a thing."""

    pairs: dict[Pair, int]
    triples: frozenset[tuple[str, str, str]]
    places: dict[Pair, Place]
    together: frozenset[Pair]
    firsts: frozenset[tuple[str, str, str]]


def read(text: str) -> list[list[str]]:
    """Return the words of each sentence between two `EDGE`s. The first child or animal that is named becomes "<1>", the
    next becomes "<2>" and so on, because names are interchangeable."""
    numbers: dict[str, str] = {}
    found = []
    for sentence in sentences(text):
        row = [EDGE]
        row += [
            numbers.setdefault(word, f"<{len(numbers) + 1}>") if word in _CHILDREN else word
            for word in tokens(sentence)
        ]
        found.append([*row, EDGE])
    return found


def nouns(rows: list[list[str]]) -> list[str]:
    """Return the things that the sentences name, each once."""
    return list(dict.fromkeys(word for row in rows for word in row if word in things()))


def first_mentions(rows: list[list[str]]) -> list[tuple[str, str, str]]:
    """Return each child, animal, elder and thing at its first mention, after the two words before it."""
    seen: set[str] = set()
    found = []
    for row in rows:
        for place, word in enumerate(row):
            if (word.startswith("<") or word in _ELDERS or word in things()) and word not in seen:
                seen.add(word)
                found.append((row[max(0, place - 2)], row[place - 1], word))
    return found


@cache
def usage() -> Usage:
    """Return the counts over `STORIES` stories of `SEED`, always the same."""
    bits = {name: 1 << number for number, (name, _) in enumerate(plots())}
    pairs: dict[Pair, int] = {}
    sums: dict[Pair, list[float]] = {}
    triples: set[tuple[str, str, str]] = set()
    together: set[Pair] = set()
    firsts: set[tuple[str, str, str]] = set()
    for index in range(STORIES):
        tale = story(SEED, index)
        rows, bit = read(tale.text), bits[tale.plan.plot]
        firsts.update(first_mentions(rows))
        named = nouns(rows)
        together.update((one, other) for one in named for other in named)
        for number, row in enumerate(rows):
            where = number / max(1, len(rows) - 1)
            triples.update(zip(row, row[1:], row[2:], strict=False))
            for pair in pairwise(row):
                pairs[pair] = pairs.get(pair, 0) | bit
                total = sums.setdefault(pair, [0.0, 0.0, 0.0])
                total[0] += 1
                total[1] += where
                total[2] += where * where
    return Usage(pairs, frozenset(triples), _places(sums), frozenset(together), frozenset(firsts))


def _places(sums: dict[Pair, list[float]]) -> dict[Pair, Place]:
    """Return means and weights of the pairs that occur at least three times."""
    found = {}
    for pair, (count, total, squares) in sums.items():
        if count >= 3:
            mean = total / count
            found[pair] = Place(mean, 1 / (max(0.0, squares / count - mean * mean) + 0.005))
    return found
