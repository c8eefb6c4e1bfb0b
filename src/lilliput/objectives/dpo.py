"""Direct preference optimisation (Rafailov et al. 2023): chosen replies gain on rejected ones, beside a reference."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field

from lilliput.base.errors import ConfigError
from lilliput.data.rows import Rows
from lilliput.objectives.batch import Batch, Loss
from lilliput.objectives.objective import OBJECTIVES, Objective
from lilliput.objectives.preference import Pair, Pairs, PreferenceConfig
from lilliput.objectives.reference import ReferenceScores, keys_of, models_of, reference_of
from lilliput.objectives.workshop import Workshop


class DirectPreference(Pairs):
    """The reward of a reply is beta * (log p of the model - log p of the reference). The reference's log-probabilities
    are computed once a document (see ReferenceScores)."""

    config: DPO

    def __init__(self, config: DPO, workshop: Workshop):
        super().__init__(config, workshop)
        self.reference = ReferenceScores(reference_of(workshop, config.reference).model)

    def batch(self, rows: Rows, rng: np.random.Generator) -> Batch:
        return super().batch(rows, rng).including({"keys": keys_of(rows)})

    def prepare(self, batch: Batch) -> Batch:
        return batch.including({"reference": self.reference.of(batch)})

    def loss(self, batch: Batch) -> Loss:
        pair = self.pair(batch)
        chosen, rejected = pair.chosen - batch.reference[:, 0], pair.rejected - batch.reference[:, 1]
        losses = self._losses(chosen, rejected, pair)
        beta = self.config.beta
        return self.outcome(losses, batch, (beta * chosen, beta * rejected), (pair.chosen, pair.rejected))

    def _losses(self, chosen: torch.Tensor, rejected: torch.Tensor, pair: Pair) -> torch.Tensor:
        """(R,) from the log-ratios of model and reference, (R,)."""
        beta, noise = self.config.beta, self.config.label_smoothing
        mean = chosen / pair.chosen_tokens - rejected / pair.rejected_tokens
        if self.config.loss_type == "ipo":
            return (mean - 1 / (2 * beta)) ** 2
        gap = beta * (mean if self.config.loss_type == "sigmoid_norm" else chosen - rejected)
        right, wrong = -F.logsigmoid(gap), -F.logsigmoid(-gap)
        if self.config.loss_type == "robust":
            return ((1 - noise) * right - noise * wrong) / (1 - 2 * noise)
        return (1 - noise) * right + noise * wrong


@OBJECTIVES.add("dpo")
class DPO(PreferenceConfig):
    """Direct preference optimisation, without a reward model.

    loss_type  with gap = beta * (log-ratio of chosen - log-ratio of rejected) and e = label_smoothing:
               sigmoid       -(1 - e) log sigmoid(gap) - e log sigmoid(-gap)   (Rafailov et al. 2023)
               sigmoid_norm  the same, with log-ratios divided by the tokens of their reply
               robust        an unbiased estimate where a share e of the pairs is the wrong way round
                             (Chowdhury et al. 2024)
               ipo           (log-ratio a token of chosen - of rejected - 1 / (2 beta))^2   (Azar et al. 2023)
    """

    kind: Literal["dpo"] = "dpo"
    loss_type: Literal["sigmoid", "sigmoid_norm", "robust", "ipo"] = Field(
        default="sigmoid", description="the loss of a pair: sigmoid, sigmoid_norm (by length), robust or ipo"
    )
    beta: float = Field(default=0.1, gt=0, description="how near the model stays to its reference: more is nearer")
    label_smoothing: float = Field(
        default=0.0, ge=0, lt=0.5, description="the share of pairs that are the wrong way round"
    )
    reference: str | None = Field(
        default=None, description="the run or folder of the frozen model; null: the weights that the run began with"
    )

    @property
    def models(self) -> dict[str, str]:
        return models_of(self.reference)

    def build(self, workshop: Workshop) -> Objective:
        if self.loss_type == "ipo" and self.label_smoothing:
            raise ConfigError("the loss ipo has no label smoothing", "leave out objective.label_smoothing")
        return DirectPreference(self, workshop)
