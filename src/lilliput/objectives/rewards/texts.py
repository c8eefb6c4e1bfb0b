"""Rewards that look at a completion's text alone: its length, JSON, and the answer of a problem."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from lilliput.base.errors import ConfigError
from lilliput.data.examples import Turns
from lilliput.objectives.rewards.reward import REWARDS, Reward, Score, text_of_completion

if TYPE_CHECKING:
    from lilliput.objectives.workshop import Workshop

NUMBER = re.compile(r"-?\d+(?:,\d{3})*(?:\.\d+)?")


@REWARDS.add("length")
class Length(Reward):
    """1 for a completion of `least` to `most` words; outside, the share of the nearer bound that its length reaches or
    is exceeded by."""

    kind: Literal["length"] = "length"
    least: int = Field(default=1, ge=0, description="words of the shortest completion with the full score")
    most: int = Field(default=200, gt=0, description="words of the longest completion with the full score")

    def build(self, workshop: Workshop) -> Score:
        if self.least > self.most:
            raise ConfigError(
                f"a reward asks for at least {self.least} words and at most {self.most}",
                "give least=N and most=M with N below M",
            )

        def score(prompts: Sequence[Turns], completions: Sequence[Turns], **columns: Any) -> list[float]:
            return [self._score(len(text_of_completion(completion).split())) for completion in completions]

        return score

    def _score(self, words: int) -> float:
        if words < self.least:
            return words / self.least
        return 1.0 if words <= self.most else self.most / words


@REWARDS.add("json")
class Json(Reward):
    """Whether a completion is JSON: 1 for a document that parses, else the share of its characters before the place
    where parsing stops."""

    kind: Literal["json"] = "json"

    def build(self, workshop: Workshop) -> Score:
        def score(prompts: Sequence[Turns], completions: Sequence[Turns], **columns: Any) -> list[float]:
            return [_parses(text_of_completion(completion)) for completion in completions]

        return score


def _parses(text: str) -> float:
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        return error.pos / max(1, len(text)) * 0.9
    except (RecursionError, ValueError):  # a nesting too deep, or a number of thousands of digits
        return 0.0
    return 1.0


@REWARDS.add("answer")
class Answer(Reward):
    """Whether a completion's last number is the one in a column: 1, else `near` times a share that falls with the
    distance (1 / (1 + distance)), so that small models that are nearly right are told apart. A prompt whose column is
    empty is not judged."""

    kind: Literal["answer"] = "answer"
    column: str = Field(default="answer", description="the column that holds the right answer")
    near: float = Field(default=0.2, ge=0, lt=1, description="the most that a wrong number gets")

    def build(self, workshop: Workshop) -> Score:
        def score(prompts: Sequence[Turns], completions: Sequence[Turns], **columns: Any) -> list[float | None]:
            return [
                None if right is None else self._score(text_of_completion(completion), right)
                for completion, right in zip(completions, columns[self.column], strict=True)
            ]

        return score

    def _score(self, text: str, right: Any) -> float:
        numbers = NUMBER.findall(text)
        wanted = NUMBER.findall(str(right))
        if not numbers or not wanted:
            return 0.0
        distance = abs(float(numbers[-1].replace(",", "")) - float(wanted[-1].replace(",", "")))
        return 1.0 if distance == 0 else self.near / (1 + distance)
