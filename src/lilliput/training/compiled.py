"""Compiled: the model with its blocks compiled for training; everything else is the model's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from lilliput.model.attention import Cache
from lilliput.model.sight import CAUSAL, Sight
from lilliput.model.stand_in import StandIn
from lilliput.model.transformer import Model


class Compiled(StandIn):
    """Stands in for `model` in an objective's loss. Evaluation and instruments keep to the plain module, which has
    the same weights: their shapes vary, and every new shape would be compiled anew.

    The blocks are all alike, so one of them is compiled and serves for all: a first step of twelve layers took 18 s in
    place of 48, and steps are no slower. Between them there is nothing to gain: the embedding is one operator, whose
    compiled gradient would be added up in an order that changes from run to run, and the loss computes its gradient
    on the way.
    """

    def __init__(self, model: Model):
        super().__init__(model)
        self._blocks = [torch.compile(block.forward, dynamic=False) for block in model.blocks]

    def forward(
        self,
        tokens: torch.Tensor,
        sight: Sight = CAUSAL,
        cache: Cache | None = None,
        blocks: Sequence[Callable[..., torch.Tensor]] | None = None,
    ) -> torch.Tensor:
        """tokens (B, T) int64 -> hidden states (B, T, d_model)."""
        return self.stands_for(tokens, sight, cache, self._blocks if blocks is None else blocks)
