"""Rewards from elsewhere: a function of the user's, a reward model, and a judge behind an OpenAI-compatible address."""

from __future__ import annotations

import importlib
import os
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, cast

import torch
from pydantic import Field

from lilliput.base.endpoint import Judge
from lilliput.base.errors import ConfigError
from lilliput.data.examples import Turns, text_of
from lilliput.model.heads import Head
from lilliput.model.sight import Sight
from lilliput.objectives.rewards.reward import REWARDS, Reward, Score, text_of_completion
from lilliput.objectives.scored import read_whole
from lilliput.objectives.turns import encode_reply

if TYPE_CHECKING:
    from lilliput.objectives.workshop import Workshop

ROWS = 16
"""Completions that a reward model reads at once."""


@REWARDS.add("function")
class Function(Reward):
    """A function `module:function` of the user's own, with the signature of TRL's reward functions. The module is
    imported from the folder in which the command runs, or from what is installed."""

    kind: Literal["function"] = "function"
    path: str = Field(pattern=r"^[\w.]+:\w+$", description="where it is, such as rewards:has_rhyme")

    @property
    def name(self) -> str:
        return self.path.partition(":")[2]

    def build(self, workshop: Workshop) -> Score:
        module, _, name = self.path.partition(":")
        if os.getcwd() not in sys.path:
            sys.path.append(os.getcwd())
        try:
            found = getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError) as error:
            raise ConfigError(
                f"the reward function '{self.path}' cannot be had: {error}",
                f"give {module}.py with a function {name}(prompts, completions, **columns) in this folder",
            ) from None
        if not callable(found):
            raise ConfigError(f"the reward '{self.path}' is no function")
        return cast(Score, found)


@REWARDS.add("model")
class RewardModel(Reward):
    """The score of a reward model, a run of `objective.kind=reward`, at the end of prompt and completion."""

    kind: Literal["model"] = "model"
    run: str = Field(description="the run, checkpoint or folder of the reward model")

    @property
    def models(self) -> dict[str, str]:
        return {"run": self.run}

    def build(self, workshop: Workshop) -> Score:
        found = workshop.load(self.run)
        weights = found.modules.get("reward.score.weight")
        if weights is None:
            raise ConfigError(f"{self.run} has no reward head", "train one: lilliput train reward --from MODEL")
        head = Head(found.model.config, len(weights), seed=None).to(workshop.device)
        head.score.weight.data.copy_(weights)

        def score(prompts: Sequence[Turns], completions: Sequence[Turns], **columns: Any) -> list[float]:
            pairs = zip(prompts, completions, strict=True)
            context = found.model.config.context_length
            whole = (read_whole(encode_reply(*pair, found.tokenizer), found.tokenizer) for pair in pairs)
            texts = [list(one.ids)[-context:] for one in whole]
            scores: list[float] = []
            for start in range(0, len(texts), ROWS):
                part = texts[start : start + ROWS]
                longest = max(map(len, part))
                tokens = torch.tensor([[*ids, *[0] * (longest - len(ids))] for ids in part], device=workshop.device)
                sight = Sight(lengths=torch.tensor([len(ids) for ids in part], device=workshop.device))
                with torch.no_grad():
                    scores += head(found.model(tokens, sight), sight)[:, 0].tolist()
            return scores

        return score


@REWARDS.add("judge")
class JudgeReward(Reward):
    """Marks from 0 to 10 by a model behind an OpenAI-compatible address, as a share of 10. Answers are cached."""

    kind: Literal["judge"] = "judge"
    url: str = Field(description="the address, such as http://127.0.0.1:8000/v1")
    model: str = Field(description="the name of the judge's model")
    criterion: str = Field(
        default="how well the reply does what was asked", description="what the judge is asked to mark"
    )

    def build(self, workshop: Workshop) -> Score:
        judge = Judge(self.url, self.model)

        def score(prompts: Sequence[Turns], completions: Sequence[Turns], **columns: Any) -> list[float]:
            return [
                judge.ask(self._question(text_of(prompt), text_of_completion(completion)), _mark)
                for prompt, completion in zip(prompts, completions, strict=True)
            ]

        return score

    def _question(self, prompt: str, completion: str) -> list[dict[str, str]]:
        asked = (
            f"Mark {self.criterion}, from 0 (not at all) to 10 (perfectly). Answer with the number alone.\n\n"
            f"PROMPT\n{prompt}\n\nREPLY\n{completion}"
        )
        return [{"role": "user", "content": asked}]


def _mark(answer: str) -> float:
    """Raises ValueError for an answer that holds no mark from 0 to 10."""
    found = re.search(r"\d+(?:\.\d+)?", answer)
    if found is None or float(found[0]) > 10:
        raise ValueError(f"no mark from 0 to 10 in {answer[:80]!r}")
    return float(found[0]) / 10
