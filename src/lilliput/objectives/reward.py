"""Reward models (Bradley and Terry 1952): a score of a reply, such that chosen replies score above rejected ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import nn

from lilliput.base.errors import ConfigError, DataError
from lilliput.base.statistics import calibration_error, wilson
from lilliput.data.document import Document
from lilliput.data.examples import Turns
from lilliput.data.rows import Encoded, Rows
from lilliput.model.heads import Head
from lilliput.objectives.accepted import examples_of
from lilliput.objectives.batch import Batch, Loss
from lilliput.objectives.figure import VAL_LOSS, Figure
from lilliput.objectives.objective import OBJECTIVES, Objective
from lilliput.objectives.scored import ScoredConfig, outputs_of, read_whole, whole
from lilliput.objectives.turns import encode_reply, options_of
from lilliput.objectives.workshop import HeldOut, Workshop

if TYPE_CHECKING:
    from lilliput.data.tokenizer import Tokenizer

MARGIN = "margin"
"""The column of a source by which a pair's chosen reply is to win."""


class RewardModel(Objective):
    """The model with a head of one output, read at the last token of prompt and reply."""

    config: RewardConfig

    def __init__(self, config: RewardConfig, workshop: Workshop):
        super().__init__(config, workshop)
        self.head = Head(workshop.model.config, 1, workshop.seed, ["reward"]).to(workshop.device)

    def stock_head(self) -> Head:
        return self.head

    def modules(self) -> dict[str, nn.Module]:
        return {"reward": self.head}

    def batch(self, rows: Rows, rng: np.random.Generator) -> Batch:
        """tokens (R, 2, T), lengths (R, 2), margins (R,), 0 where a pair has none."""
        margins = [float(columns[0].get(MARGIN, 0.0)) for columns in rows.columns] or [0.0] * len(rows.tokens)
        made = whole(rows, self.model.config.context_length)
        return made.including({"margins": torch.tensor(margins)})

    def weight(self, batch: Batch) -> float:
        """The number of pairs."""
        return float(len(batch))

    def loss(self, batch: Batch) -> Loss:
        rewards = outputs_of(self.view, self.head, batch)[..., 0]
        gap = rewards[:, 0] - rewards[:, 1]
        losses = self._losses(rewards, batch.margins)
        total = losses.sum() + self.added(batch)
        metrics = {"accuracy": (gap > 0).float(), "margin": gap, "mean_reward": rewards.mean(1)}
        return Loss(total, {name: value.detach().sum() for name, value in metrics.items()})

    def _losses(self, rewards: torch.Tensor, margins: torch.Tensor) -> torch.Tensor:
        """rewards (R, 2), margins (R,) -> (R,)."""
        losses = -F.logsigmoid(rewards[:, 0] - rewards[:, 1] - margins)
        centre = self.config.center_rewards_coefficient
        return losses if centre is None else losses + centre * rewards.sum(1) ** 2

    def evaluate(self, held: HeldOut) -> dict[str, float]:
        """Besides the means of loss and metrics: the 95% interval of the accuracy, the extremes of the rewards, and the
        expected calibration error of sigmoid(gap) as the probability that the reply of the higher reward was chosen."""
        with self.measuring():
            found = [
                (outputs_of(self.model, self.head, batch)[..., 0].cpu(), batch.margins.cpu())
                for batch in held.batches(self)
            ]
        rewards, margins = (torch.cat(part) for part in zip(*found, strict=True))
        gaps = rewards[:, 0] - rewards[:, 1]
        right = gaps > 0
        low, high = wilson(int(right.sum()), len(right))
        return {
            VAL_LOSS: float(self._losses(rewards, margins).mean()),
            "val_accuracy": float(right.float().mean()),
            "val_accuracy_low": low,
            "val_accuracy_high": high,
            "val_calibration_error": calibration_error(torch.sigmoid(gaps.abs()).tolist(), right.tolist()),
            "val_margin": float(gaps.mean()),
            "val_mean_reward": float(rewards.mean()),
            "val_min_reward": float(rewards.min()),
            "val_max_reward": float(rewards.max()),
            "val_pairs": len(right),
        }


@OBJECTIVES.add("reward")
class RewardConfig(ScoredConfig):
    """A reward model from preferences: -log sigmoid(reward of chosen - reward of rejected - margin). A source's column
    `margin` is used where rows have it."""

    kind: Literal["reward"] = "reward"
    center_rewards_coefficient: float | None = Field(
        default=None,
        gt=0,
        description="weight of the squared sum of a pair's rewards, which keeps rewards near 0; null: none",
    )
    examples: ClassVar[tuple[str, ...]] = ("preference",)
    figure: ClassVar[Figure] = Figure("loss", VAL_LOSS, "nats a pair")

    def encode(self, documents: Sequence[Document], tokenizer: Tokenizer) -> list[list[Encoded]]:
        made = []
        for document, example in zip(documents, examples_of(documents, self), strict=True):
            columns = {MARGIN: _number(document, example.columns[MARGIN])} if MARGIN in example.columns else None
            row, options = example.row, options_of(example.row)
            pair = [encode_reply(row["prompt"], row[side], tokenizer, **options) for side in ("chosen", "rejected")]
            made.append([read_whole(Encoded(each.ids, None, columns), tokenizer) for each in pair])
        return made

    def encode_scored(
        self, texts: Sequence[str], prompt: str | None, tokenizer: Tokenizer, pair: str | None = None
    ) -> list[Encoded]:
        if pair is not None:
            raise ConfigError("a reward model scores replies to a request, and no pairs", "leave --pair out")
        if prompt is None and tokenizer.chat_template is not None:
            raise ConfigError("a reward model of a chat model scores replies to a request", "name it: --prompt REQUEST")
        chats = tokenizer.chat_template is not None
        asked: Turns = [{"role": "user", "content": prompt}] if chats else prompt or ""
        replies: list[Turns] = [[{"role": "assistant", "content": text}] if chats else text for text in texts]
        return [read_whole(encode_reply(asked, reply, tokenizer), tokenizer) for reply in replies]

    def answer(self, outputs: torch.Tensor, text: str, sequence: Encoded) -> dict[str, Any]:
        """`reward`."""
        return {"reward": float(outputs[0])}

    def build(self, workshop: Workshop) -> Objective:
        return RewardModel(self, workshop)


def _number(document: Document, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DataError(f"{document.id} has the margin {value!r}, and a margin is a number")
    return float(value)
