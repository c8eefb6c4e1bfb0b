"""Task: a row that teaches or measures, and what the files of tasks share: phrasings, columns, turns."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal

from lilliput.base.seeds import derive
from lilliput.storybook.grammar import Ways

VERSION = 1
"""Raise this number whenever the same seed gives other tasks, because caches of tokens depend on it."""
Phrasings = Literal["train", "held_out", "all"]
Turn = dict[str, str]
NO_COLUMNS: Mapping[str, Any] = {
    "task": "", "words": None, "ending": None, "hero": None, "feature": None, "begins": None, "shortest": None,
    "longest": None, "answer": None, "harmful": None, "held_out": False,
}  # fmt: skip
"""The columns of every task. `task` names the sort of request. The other columns are those of `rules`; `held_out` is
true where the request is phrased in a way that the phrasings for training lack."""


@dataclass(frozen=True, slots=True)
class Task:
    """A row: its kind (messages, preference, rating, prompt or text), its parts by TRL's names, and its columns."""

    kind: str
    row: Mapping[str, Any]
    columns: Mapping[str, Any] = field(default_factory=dict)


def user(content: str) -> Turn:
    """Return a message of the user."""
    return {"role": "user", "content": content}


def assistant(content: str) -> Turn:
    """Return a message of the assistant."""
    return {"role": "assistant", "content": content}


def columns(task: str, **asked: Any) -> dict[str, Any]:
    """Return a full row of columns. Raises KeyError for a column that no rule knows."""
    unknown = asked.keys() - NO_COLUMNS.keys()
    if unknown:
        raise KeyError(f"no rule reads {', '.join(sorted(unknown))}")
    return {**NO_COLUMNS, "task": task, **asked}


_SLOT = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Asked:
    """Ways to phrase a request: those to train with, and those that are held out to measure with."""

    train: Ways
    held_out: Ways

    def draw(self, random: Random, phrasings: Phrasings, **slots: Any) -> Phrased:
        """Return a phrasing with its slots filled. "all" draws a held-out phrasing for one request in ten."""
        held_out = phrasings == "held_out" or (phrasings == "all" and random.random() < 0.1)
        way = phrase(random, self.held_out if held_out else self.train)
        return Phrased(way.format_map(slots), held_out, frozenset(_SLOT.findall(way)))


@dataclass(frozen=True, slots=True)
class Phrased:
    """A request in words, whether its phrasing is held out, and the slots that the phrasing has."""

    text: str
    held_out: bool
    slots: frozenset[str]


def phrase(random: Random, ways: Ways) -> str:
    """Return one of the ways, in one of its variants, with its slots still open."""
    return random.choice(random.choice(ways))


def random_of(name: str, seed: int, number: int) -> Random:
    """Return the random numbers of task `number` of `seed`."""
    return Random(derive(seed, name, number))


def pick(random: Random, shares: Mapping[str, float]) -> str:
    """Return a name, drawn by its share."""
    return random.choices(list(shares), weights=list(shares.values()))[0]


def listed(words: Sequence[str]) -> str:
    """Return words as a list in a sentence: "one, two and three"."""
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else words[0]
