"""StandIn: another way of computing a model's calls, with the model's own signature, parts and weights."""

from __future__ import annotations

from typing import Any

import torch

from lilliput.model.attention import Cache
from lilliput.model.sight import CAUSAL, Sight
from lilliput.model.transformer import Model


class StandIn(Model):
    """A Model that holds no parts itself: parameters, modes, hooks and all else are those of `stands_for`. A subclass
    overrides `forward`, and `logits` where it computes those in another way too.

    Its own attributes begin with an underscore; any other that is set, such as `training`, is set on the model.
    """

    def __init__(self, model: Model):
        object.__setattr__(self, "_stands_for", model)

    @property
    def stands_for(self) -> Model:
        """The model whose parts and weights these are."""
        return self.__dict__["_stands_for"]

    def __call__(self, tokens: torch.Tensor, sight: Sight = CAUSAL, cache: Cache | None = None) -> torch.Tensor:
        """tokens (B, T) int64 -> hidden states (B, T, d_model), as the model gives them. The hooks of the model as a
        whole run where `forward` calls it."""
        return self.forward(tokens, sight, cache)

    def __getattr__(self, name: str) -> Any:
        if name == "_stands_for":  # a copy that is not filled yet
            raise AttributeError(name)
        return getattr(self.stands_for, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            object.__setattr__(self, name, value)
        else:
            setattr(self.stands_for, name, value)
