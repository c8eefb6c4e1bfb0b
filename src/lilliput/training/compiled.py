"""Compiled: the model with its blocks compiled for training. The model itself computes everything else."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from lilliput.base.console import warn
from lilliput.model.attention import Cache
from lilliput.model.plain import Once, Watch, hooked
from lilliput.model.sight import Sight
from lilliput.model.source import Memory, Source
from lilliput.model.stand_in import StandIn
from lilliput.model.transformer import Model


class Compiled(StandIn):
    """Replaces `model` in an objective's loss. Evaluation and instruments use the plain module, which has the same
    weights. Their shapes vary, and every new shape would be compiled again.

    All blocks are alike, so one block is compiled and its graph serves all blocks. A first step of twelve layers took
    18 s instead of 48 s, and later steps are no slower. Compiling the embedding and the loss would gain nothing. The
    embedding is one operator, and its compiled gradient would be summed in an order that changes from run to run. The
    loss already computes its gradient in the forward pass.

    With `varied`, one graph serves rows of any length. Otherwise each new length would be compiled. 60 steps of DPO
    took 125 processor seconds that way, 50 with one graph, and 29 without compiling.

    Each block's own code is compiled, so every config and part is computed. A compiled graph does not see hooks, or
    modules that were replaced later. With any of these the model itself computes the step; the first time, a line on
    standard error gives the reasons.
    """

    def __init__(self, model: Model, varied: bool = False):
        super().__init__(model)
        self._watch, self._say = Watch(model), Once(warn)
        self._blocks = [torch.compile(block.forward, dynamic=varied) for block in model.blocks]

    def forward(
        self,
        tokens: torch.Tensor,
        sight: Sight | None = None,
        cache: Cache | None = None,
        blocks: Sequence[Callable[..., torch.Tensor]] | None = None,
        types: torch.Tensor | None = None,
        source: Source | Memory | None = None,
    ) -> torch.Tensor:
        """tokens (B, T) int64 -> hidden states (B, T, d_model)."""
        if reasons := self.refuses():
            self._say(f"compiled blocks step aside, and PyTorch's operators compute: {'; '.join(reasons)}")
            return self.stands_for(tokens, sight, cache, blocks, types, source)
        return self.stands_for(tokens, sight, cache, self._blocks if blocks is None else blocks, types, source)

    def refuses(self) -> list[str]:
        """The reasons why the compiled blocks differ from the model's present state; empty when they do not."""
        if self._watch.hooked():
            return hooked(self.stands_for)
        return ["modules were replaced since the blocks were compiled"] if self._watch.replaced(memory=False) else []
