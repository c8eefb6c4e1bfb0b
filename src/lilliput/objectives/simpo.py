"""SimPO (Meng et al. 2024): the mean log-probability of chosen replies gains on that of rejected ones by a margin."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from pydantic import Field

from lilliput.objectives.batch import Batch, Loss
from lilliput.objectives.objective import OBJECTIVES, Objective
from lilliput.objectives.preference import Pairs, PreferenceConfig
from lilliput.objectives.workshop import Workshop


class SimplePreference(Pairs):
    """The reward of a reply is beta times its mean log p a token; there is no reference. As in TRL, `logps` are these
    means."""

    config: SimPO

    def loss(self, batch: Batch) -> Loss:
        pair, beta, noise = self.pair(batch), self.config.beta, self.config.label_smoothing
        chosen, rejected = pair.chosen / pair.chosen_tokens, pair.rejected / pair.rejected_tokens
        gap = beta * (chosen - rejected) - self.config.gamma
        losses = -(1 - noise) * F.logsigmoid(gap) - noise * F.logsigmoid(-gap)
        return self.outcome(losses, batch, (beta * chosen, beta * rejected), (chosen, rejected))


@OBJECTIVES.add("simpo")
class SimPO(PreferenceConfig):
    """Preferences without a reference model: -log sigmoid(beta (mean log p of chosen - of rejected) - gamma)."""

    kind: Literal["simpo"] = "simpo"
    beta: float = Field(default=2.0, gt=0, description="multiplies the mean log-probability a token of a reply")
    gamma: float = Field(default=1.0, ge=0, description="the margin by which chosen replies are to win")
    label_smoothing: float = Field(
        default=0.0, ge=0, lt=0.5, description="the share of pairs that are the wrong way round"
    )

    def build(self, workshop: Workshop) -> Objective:
        return SimplePreference(self, workshop)
