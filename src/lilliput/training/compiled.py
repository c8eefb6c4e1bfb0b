"""Compiled: the model with its blocks compiled for training; everything else is the model's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from lilliput.model.transformer import Model


class Compiled:
    """Stands in for `model` in an objective's loss. Evaluation and instruments keep to the plain module, which has
    the same weights: their shapes vary, and every new shape would be compiled anew.

    The blocks are all alike, so one of them is compiled and serves for all: a first step of twelve layers took 18 s in
    place of 48, and steps are no slower. Between them there is nothing to gain: the embedding is one operator, whose
    compiled gradient would be added up in an order that changes from run to run, and the loss computes its gradient
    on the way.
    """

    def __init__(self, model: Model):
        self._model = model
        self._blocks = [torch.compile(block.forward, dynamic=False) for block in model.blocks]

    def __call__(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        return self._model(*args, **kwargs, blocks=self._blocks)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)
