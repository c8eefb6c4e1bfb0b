"""Record: one line of a labels file. It holds who answered, when, how long it took, every reply, and the answer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Literal, Self

from pydantic import Field, StrictBool, model_validator

from lilliput.base import seeds
from lilliput.base.config import Config

Mode = Literal["demonstrate", "rank", "rate"]
Event = Literal["answer", "skip", "undo"]
Ranking = tuple[tuple[int, ...], ...]
Prompt = str | tuple[dict[str, Any], ...]
"""Plain text that a completion follows, or the messages of a conversation."""
MOST = 4
"""Most replies side by side. Each has a key of its own, 1 to 4."""
HALF = 2**31
"""Seeds in a labels file are below this, so that every reader of JSON keeps them exact."""


class Candidate(Config):
    """A reply that a model generated."""

    text: str = Field(description="the reply: the text after the prompt, or the content of the assistant's message")
    model: str = Field(description="the model that generated the reply: the name of a run, checkpoint or folder")
    sha256: str | None = Field(default=None, description="SHA-256 of the model's weights")
    sampling: dict[str, int | float] = Field(
        default_factory=dict, description="how the reply was drawn: temperature, max_tokens, seed, sample"
    )


class Record(Config):
    """One line of a labels file. Lines are only ever added: an undo is a line too."""

    event: Event = Field(description="answer, skip (asked again by the next session), or undo of the item's last line")
    mode: Mode = Field(description="demonstrate: write a completion; rank: order replies; rate: good or bad")
    item: str = Field(description="names the prompt and its replies; equal for all labellers of the same command")
    labeller: str = Field(min_length=1, max_length=64, description="who answered")
    utc: str = Field(description="when, in UTC: 2030-01-31T23:59:59Z")
    seconds: float = Field(ge=0, description="seconds between showing the item and this line")
    prompt: Prompt = Field(description="the prompt: a text, or a list of messages")
    candidates: tuple[Candidate, ...] = Field(default=(), max_length=MOST, description="the replies, as generated")
    shown: tuple[int, ...] = Field(
        default=(), description="numbers of the candidates, from 0, in the order in which they were shown"
    )
    order_seed: int = Field(default=0, ge=0, description="the seed that gave `shown` (see order)")
    answer: Ranking | StrictBool | str | None = Field(
        default=None,
        description="rank: groups of candidates, best first, equal ones together; rate: whether the reply is good; "
        "demonstrate: the completion; null for skip and undo",
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if sorted(self.shown) != list(range(len(self.candidates))):
            raise ValueError("'shown' does not name each of the candidates once")
        if self.event == "answer" and (reason := _why_not(self)):
            raise ValueError(f"the answer of mode '{self.mode}' {reason}")
        if self.event != "answer" and self.answer is not None:
            raise ValueError(f"a line of event '{self.event}' holds no answer")
        return self

    @property
    def texts(self) -> tuple[str, ...]:
        """The replies' texts, as generated."""
        return tuple(candidate.text for candidate in self.candidates)

    def line(self) -> str:
        """The record as a line of JSON."""
        return json.dumps(self.model_dump(mode="json"), ensure_ascii=False) + "\n"


def _why_not(record: Record) -> str | None:
    answer = record.answer
    if record.mode == "demonstrate":
        return None if isinstance(answer, str) and answer.strip() else "is a text that is not empty"
    if record.mode == "rate":
        return None if isinstance(answer, bool) and len(record.candidates) == 1 else "is true or false of one reply"
    if not isinstance(answer, tuple) or len(record.candidates) < 2:
        return "is a ranking of two replies or more"
    ranked = sorted(number for group in answer for number in group)
    whole = ranked == list(range(len(record.candidates))) and all(answer)
    return None if whole else "does not rank each of the replies once"


def order(seed: int, item: str, labeller: str, count: int) -> tuple[int, tuple[int, ...]]:
    """Return the seed and the order in which `count` replies of an item are shown to a labeller.

    The order is a uniform permutation that depends on the seed alone: `seeds.generator(order_seed, "shown")`. Each
    labeller has an order of their own, so that a liking for the first place is not taken for agreement."""
    order_seed = seeds.derive(seed, "order", item, labeller) % HALF
    return order_seed, tuple(map(int, seeds.generator(order_seed, "shown").permutation(count)))


def pairs(ranking: Ranking) -> list[tuple[int, int]]:
    """Return every (better, worse) pair of candidates of a ranking. Equal candidates are no pair.

    Example: ((2,), (0, 1)) gives [(2, 0), (2, 1)]."""
    found = []
    for place, group in enumerate(ranking):
        worse: Sequence[int] = [number for later in ranking[place + 1 :] for number in later]
        found += [(better, other) for better in group for other in worse]
    return found
