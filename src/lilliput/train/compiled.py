"""Compiled: the model with its forward pass compiled for training; everything else is the model's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from lilliput.model.transformer import Model


class Compiled:
    """Stands in for `model` in an objective's loss. Evaluation and instruments keep to the plain module, which has
    the same weights: their shapes vary, and every new shape would be compiled anew. The loss is one operator that
    computes its gradient on the way, which leaves a compiler nothing to do."""

    def __init__(self, model: Model):
        self._model = model
        self._forward = torch.compile(model.forward, dynamic=False)

    def __call__(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        return self._forward(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)
