"""Rewards by the rules of the story world: how far a completion does what the columns of its prompt ask for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator

from lilliput.base.errors import nearest
from lilliput.data.examples import Turns
from lilliput.objectives.rewards.reward import REWARDS, Reward, Score, text_of_completion

if TYPE_CHECKING:
    from lilliput.objectives.workshop import Workshop


@REWARDS.add("rule")
class Rule(Reward):
    """A rule of storybook/rules.py, from 0 to 1: words, ending, hero, feature, begins, length, complete, fresh, sense,
    answer, refusal, or overall, which joins them. A column that a prompt does not have asks for nothing."""

    kind: Literal["rule"] = "rule"
    rule: str = Field(default="overall", description="the name of the rule")

    @field_validator("rule")
    @classmethod
    def _known(cls, name: str) -> str:
        from lilliput.storybook.rules import RULES

        if name not in RULES:
            raise ValueError(f"there is no rule '{name}'{nearest(name, RULES)}; rules are {', '.join(RULES)}")
        return name

    @property
    def name(self) -> str:
        return self.rule

    def build(self, workshop: Workshop) -> Score:
        from lilliput.storybook.rules import RULES

        rule = RULES[self.rule]

        def score(prompts: Sequence[Turns], completions: Sequence[Turns], **columns: Any) -> list[float]:
            rows = [{name: values[place] for name, values in columns.items()} for place in range(len(completions))]
            return [rule(text_of_completion(text), row) for text, row in zip(completions, rows, strict=True)]

        return score
