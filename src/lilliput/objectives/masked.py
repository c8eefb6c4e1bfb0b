"""Masked language modelling: predict hidden tokens from both sides (BERT, Devlin et al. 2019)."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import numpy as np
import torch
from pydantic import Field

from lilliput.base.errors import ConfigError
from lilliput.data.rows import Rows
from lilliput.model.sight import Sight
from lilliput.objectives.batch import Batch, Loss
from lilliput.objectives.figure import VAL_LOSS, Figure
from lilliput.objectives.objective import OBJECTIVES, Objective, ObjectiveConfig
from lilliput.objectives.workshop import HeldOut, Workshop

FIGURE = Figure("masked_bits_per_byte", "val_masked_bits_per_byte", "bits a masked byte")


class MaskedToken(Objective):
    """Some tokens of each row are targets. Most targets are replaced by the mask token, some by a random token, and the
    other targets stay. Every position sees the whole row, or its own document where rows have segments. The choice of
    the hidden tokens depends on (seed, place of the rows) alone."""

    config: Masked

    def __init__(self, config: Masked, workshop: Workshop):
        super().__init__(config, workshop)
        tokenizer = workshop.tokenizer
        if "mask" not in tokenizer.specials:
            raise ConfigError(
                "the tokenizer has no mask token (<|mask|>, <mask> or [MASK]), which objective.kind=masked needs",
                "leave out tokenizer.path: a tokenizer that is trained for this objective has one",
            )
        self.mask = tokenizer.specials["mask"]
        special = set(tokenizer.specials.values())
        self.ordinary = np.array([number for number in range(tokenizer.vocab_size) if number not in special])
        self.sizes = torch.from_numpy(tokenizer.token_bytes()).float()

    def batch(self, rows: Rows, rng: np.random.Generator) -> Batch:
        """The last id of each row is left out, because the next row begins with it. `sizes` are the UTF-8 bytes of each
        target."""
        targets, config = rows.tokens[:, :-1], self.config
        chosen = (rng.random(targets.shape) < config.fraction) & (rows.learn[:, :-1] > 0)
        kind = rng.random(targets.shape)
        others = self.ordinary[rng.integers(len(self.ordinary), size=targets.shape)]
        masked = chosen & (kind < config.masked)
        replaced = chosen & ~masked & (kind < config.masked + config.replaced)
        tokens = np.where(masked, self.mask, np.where(replaced, others, targets))
        right = torch.from_numpy(np.ascontiguousarray(targets))
        segments = None if rows.segments is None else torch.from_numpy(np.ascontiguousarray(rows.segments[:, :-1]))
        weights = torch.from_numpy(chosen.astype(np.float32))
        return Batch(torch.from_numpy(tokens), right, weights, segments=segments, sizes=self.sizes[right] * weights)

    def loss(self, batch: Batch) -> Loss:
        hidden = self.view(batch.tokens, Sight(causal=False, segments=batch.get("segments")))
        return Loss(self.view.loss(hidden, batch.targets, batch.weights))

    def reported(self, loss: float) -> dict[str, float]:
        return {FIGURE.training: loss / math.log(2) / self.workshop.bytes_per_target}

    def evaluate(self, held: HeldOut) -> dict[str, float]:
        """Return the bits for each byte of the hidden tokens, and the share of the hidden tokens that the model ranks
        first."""
        nats = size = right = count = 0.0
        for batch in held.batches(self):
            with self.measuring():
                hidden = self.model(batch.tokens, Sight(causal=False, segments=batch.get("segments")))
                nats += float(self.model.loss(hidden, batch.targets, batch.weights))
                hidden_at = batch.weights > 0
                best = self.model.logits(hidden[hidden_at]).argmax(-1)
                right += float((best == batch.targets[hidden_at]).sum())
            size, count = size + float(batch.sizes.sum()), count + float(batch.weights.sum())
        return {
            VAL_LOSS: nats / max(count, 1.0),
            FIGURE.validation: nats / math.log(2) / max(size, 1.0),
            "val_masked_accuracy": right / max(count, 1.0),
        }


@OBJECTIVES.add("masked")
class Masked(ObjectiveConfig):
    """A model that reads in both directions and fills in hidden tokens. It generates no text.

    fraction  share of the tokens that are targets
    masked    share of the targets that are replaced by the mask token
    replaced  share of the targets that are replaced by a random token; the rest stay as they are
    """

    kind: Literal["masked"] = "masked"
    fraction: float = Field(default=0.15, gt=0, lt=1, description="share of the tokens that are targets")
    masked: float = Field(default=0.8, ge=0, le=1, description="share of the targets replaced by the mask token")
    replaced: float = Field(default=0.1, ge=0, le=1, description="share of the targets replaced by a random token")
    specials: ClassVar[tuple[str, ...]] = ("mask",)
    figure: ClassVar[Figure] = FIGURE

    def build(self, workshop: Workshop) -> Objective:
        if self.masked + self.replaced > 1:
            raise ConfigError(
                f"objective.masked + objective.replaced is {self.masked + self.replaced:g}, and may be 1 at most"
            )
        return MaskedToken(self, workshop)
