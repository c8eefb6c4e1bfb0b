"""ORPO (Hong et al. 2024): fine-tuning on chosen replies, with a term for the odds of chosen against rejected."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field

from lilliput.data.rows import Rows
from lilliput.objectives.batch import Batch, Loss
from lilliput.objectives.objective import OBJECTIVES, Objective
from lilliput.objectives.preference import Pairs, PreferenceConfig
from lilliput.objectives.scoring import log_probabilities
from lilliput.objectives.workshop import Workshop


class OddsRatio(Pairs):
    """As in TRL, the cross-entropy is that of all tokens of prompt and chosen reply, a mean over the batch's tokens."""

    config: ORPO

    def batch(self, rows: Rows, rng: np.random.Generator) -> Batch:
        """`share` (R,) turns a sum over tokens of a row into its part of R times the mean over the batch's tokens."""
        batch = super().batch(rows, rng)
        tokens = batch.lengths[:, 0].sum()
        return batch.including({"share": (len(batch) / tokens).expand(len(batch)).float()})

    def loss(self, batch: Batch) -> Loss:
        learned = batch.weights > 0
        places = torch.arange(batch.tokens.shape[-1], device=batch.tokens.device)
        wanted = torch.stack((places < batch.lengths[:, :1], learned[:, 1]), 1)
        parts = (batch.tokens.flatten(0, 1), batch.targets.flatten(0, 1), wanted.flatten(0, 1))
        scores = log_probabilities(self.view, *parts).view(learned.shape)
        whole = -scores[:, 0].sum(-1) * batch.share
        chosen, rejected = ((scores * learned).sum(-1) / batch.weights.sum(-1)).unbind(1)
        odds = chosen - rejected - (log_of_rest(chosen) - log_of_rest(rejected))
        ratio, beta = F.logsigmoid(odds), self.config.beta
        return self.outcome(
            whole - beta * ratio,
            batch,
            (beta * chosen, beta * rejected),
            (chosen, rejected),
            nll_loss=whole,
            log_odds_ratio=ratio,
            log_odds_chosen=odds,
        )


def log_of_rest(logs: torch.Tensor) -> torch.Tensor:
    """log(1 - p) from log p < 0, exact both for p near 0 and for p near 1 (Maechler 2012)."""
    small = logs < -math.log(2)
    # Each branch gets numbers for which its gradient is finite, because torch.where mixes both.
    near_zero, near_one = torch.where(small, logs, -1.0), torch.where(small, -0.5, logs)
    return torch.where(small, torch.log1p(-near_zero.exp()), torch.log(-torch.expm1(near_one)))


@OBJECTIVES.add("orpo")
class ORPO(PreferenceConfig):
    """Preferences and fine-tuning in one stage, without a reference: cross-entropy of prompt and chosen reply, less
    beta log sigmoid(log odds of chosen - log odds of rejected), where p of a reply is its mean a token."""

    kind: Literal["orpo"] = "orpo"
    beta: float = Field(default=0.1, gt=0, description="weight of the odds ratio beside the cross-entropy")

    def build(self, workshop: Workshop) -> Objective:
        return OddsRatio(self, workshop)
