"""Exercise: the contract of a kind of synthetic row: what is asked of a model, and what makes a draft a good one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from lilliput.base.config import Config
from lilliput.base.registry import Registry

Ask = Callable[[str], str]
"""Send a question to the model that checks, and return its answer."""


class Refused(Exception):
    """A draft that is not kept. The message is a reason that names no single draft."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A question to a model, and what is known of the right answer."""

    question: str
    known: dict[str, Any] = field(default_factory=dict)


class Exercise(Config):
    """A kind of exercise. Subclass it in a file of `worlds/exercises/`, give `kind` a Literal, and register it with
    @EXERCISES.add(NAME)."""

    kind: Any = None

    def draft(self, text: str, random: Random) -> Draft:
        """Return what is asked about a seed text. Raises Refused for a text of which no exercise can be made."""
        raise NotImplementedError

    def row(self, draft: Draft, answer: str, check: Ask) -> dict[str, Any]:
        """Return the training row of an answer that is verified. Raises Refused for every other answer."""
        raise NotImplementedError


EXERCISES: Registry[type[Exercise]] = Registry("kind of exercise", "lilliput.worlds.exercises")
