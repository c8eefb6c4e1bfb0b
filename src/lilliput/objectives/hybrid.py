"""Hybrid: one decoder that predicts the next token of some rows, and hidden tokens of the other rows from both sides
(GPT-BERT, arXiv:2410.24159)."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import numpy as np
import torch
from pydantic import Field

from lilliput.base.errors import ConfigError
from lilliput.data.rows import Rows
from lilliput.model.parts import ATTENTIONS
from lilliput.model.sight import Sight
from lilliput.objectives.batch import Batch, Loss
from lilliput.objectives.causal import NextToken, NextTokenConfig
from lilliput.objectives.figure import BITS
from lilliput.objectives.masked import FIGURE as MASKED
from lilliput.objectives.masked import Hiding
from lilliput.objectives.objective import OBJECTIVES, Objective
from lilliput.objectives.workshop import HeldOut, Workshop


class BothWays(NextToken):
    """A share of each batch's rows is masked. Each position of a masked row sees the whole row, or its document, and
    predicts the token after it where that token is hidden (masked next-token prediction). So a hidden token is
    predicted at the same place as the next token of a causal row.

    A row counts as much as another: the targets of a masked row, which are few, weigh as much as all targets of a
    causal row. Which rows and tokens are hidden depends on (seed, place of the rows) alone."""

    config: Hybrid

    def __init__(self, config: Hybrid, workshop: Workshop):
        super().__init__(config, workshop)
        self.hiding = Hiding(workshop.tokenizer, config.fraction, config.masked, config.replaced)
        self.sizes = torch.from_numpy(workshop.tokenizer.token_bytes()).float()

    def batch(self, rows: Rows, rng: np.random.Generator) -> Batch:
        count = int(self.config.share * len(rows.tokens) + rng.random())
        chosen = np.zeros(len(rows.tokens), bool)
        chosen[rng.permutation(len(chosen))[:count]] = True
        return self._batch(rows, chosen, rng)

    def _batch(self, rows: Rows, chosen: np.ndarray, rng: np.random.Generator) -> Batch:
        """The rows as next tokens, and those that are `chosen` (R,) with hidden tokens."""
        plain = super().batch(rows, rng)
        tokens, hidden = self.hiding.hide(rows.tokens[:, :-1], rows.learn[:, :-1], rng)
        # The first token of a row is predicted nowhere, and the last target of a row is no token of the input.
        ahead = np.pad(hidden[:, 1:], ((0, 0), (0, 1)))
        ahead = torch.from_numpy(ahead) & (plain.weights > 0)
        each = ahead.float() * (plain.weights.sum(1) / ahead.sum(1).clamp_min(1))[:, None]
        masked = torch.from_numpy(chosen)
        return plain.including(
            {
                "tokens": torch.where(masked[:, None], torch.from_numpy(tokens), plain.tokens),
                "weights": torch.where(masked[:, None], each, plain.weights),
                "masked": masked,
            }
        )

    def loss(self, batch: Batch) -> Loss:
        causal = self._loss(batch, ~batch.masked, Sight())
        total = causal + self._loss(batch, batch.masked, Sight(causal=False))
        # Of rows of equal weight, this share are causal.
        bits = causal.detach() / (1 - self.config.share) / math.log(2) / self.workshop.bytes_per_target
        return Loss(total, {BITS.training: bits})

    def _loss(self, batch: Batch, rows: torch.Tensor, sight: Sight) -> torch.Tensor:
        """The summed loss of some of the rows (R,) bool."""
        if not bool(rows.any()):
            return batch.weights.new_zeros(())
        segments = batch.get("segments")
        sight = Sight(sight.causal, segments=None if segments is None else segments[rows])
        hidden = self.view(batch.tokens[rows], sight)
        return self.view.loss(hidden, batch.targets[rows], batch.weights[rows])

    def reported(self, loss: float) -> dict[str, float]:
        return {}

    def evaluate(self, held: HeldOut) -> dict[str, float]:
        """Bits per byte of the text from left to right; and of its hidden tokens, each predicted from both sides, the
        bits for each of their bytes and the share that the model ranks first."""
        nats = size = right = count = 0.0
        with self.measuring():
            for rows, rng in held.draws():
                batch = self._batch(rows, np.ones(len(rows.tokens), bool), rng).to(self.workshop.device)
                hidden = self.model(batch.tokens, Sight(causal=False, segments=batch.get("segments")))
                at = batch.weights > 0
                nats += float(self.model.loss(hidden[at], batch.targets[at], at[at].float()))
                right += float((self.model.logits(hidden[at]).argmax(-1) == batch.targets[at]).sum())
                size += float(self.sizes[batch.targets[at].cpu()].sum())
                count += float(at.sum())
        bits = nats / math.log(2) / max(size, 1.0)
        return super().evaluate(held) | {MASKED.validation: bits, "val_masked_accuracy": right / max(count, 1.0)}


@OBJECTIVES.add("hybrid")
class Hybrid(NextTokenConfig):
    """A decoder that generates text, and also fills in hidden tokens from both sides.

    share     share of the rows of a batch that are masked
    fraction  share of the tokens of a masked row that are hidden targets
    masked, replaced  as in Masked
    """

    kind: Literal["hybrid"] = "hybrid"
    share: float = Field(default=0.5, gt=0, lt=1, description="share of the rows of a batch that are masked")
    fraction: float = Field(
        default=0.15, gt=0, lt=1, description="share of the tokens of a masked row that are targets"
    )
    masked: float = Field(default=0.8, ge=0, le=1, description="share of the targets replaced by the mask token")
    replaced: float = Field(default=0.1, ge=0, le=1, description="share of the targets replaced by a random token")
    specials: ClassVar[tuple[str, ...]] = ("mask",)
    predicts_hidden: ClassVar[bool] = True

    def build(self, workshop: Workshop) -> Objective:
        kinds = {*workshop.model.config.attentions}
        if odd := sorted(kind for kind in kinds if not ATTENTIONS[kind].sees_later):
            raise ConfigError(
                f"objective.kind=hybrid reads from both sides, and model.attention={odd[0]} sees earlier positions",
                "leave model.attention out",
            )
        return BothWays(self, workshop)
