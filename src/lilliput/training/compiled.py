"""Compiled: the model with its blocks compiled for training; everything else is the model's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from lilliput.base.console import warn
from lilliput.model.attention import Cache
from lilliput.model.plain import Once, Watch, hooked
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

    What is compiled is each block's own code, so every config and part is computed. Only hooks, and modules that were
    replaced since, are not seen by a compiled graph: with any of these the model computes the step as it is, and the
    first time a line is printed on standard error.
    """

    def __init__(self, model: Model):
        super().__init__(model)
        self._watch, self._say = Watch(model), Once(warn)
        self._blocks = [torch.compile(block.forward, dynamic=False) for block in model.blocks]

    def forward(
        self,
        tokens: torch.Tensor,
        sight: Sight = CAUSAL,
        cache: Cache | None = None,
        blocks: Sequence[Callable[..., torch.Tensor]] | None = None,
    ) -> torch.Tensor:
        """tokens (B, T) int64 -> hidden states (B, T, d_model)."""
        if reasons := self.refuses():
            self._say(f"compiled blocks step aside, and PyTorch's operators compute: {'; '.join(reasons)}")
            return self.stands_for(tokens, sight, cache, blocks)
        return self.stands_for(tokens, sight, cache, self._blocks if blocks is None else blocks)

    def refuses(self) -> list[str]:
        """Why the compiled blocks do not compute what the model does now; empty when they do."""
        if self._watch.hooked():
            return hooked(self.stands_for)
        return ["modules were replaced since the blocks were compiled"] if self._watch.replaced(memory=False) else []
