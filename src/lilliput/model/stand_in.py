"""StandIn: another way of computing a model's calls, with the model's own signature, parts and weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from lilliput.model.attention import Cache
from lilliput.model.sight import Sight
from lilliput.model.source import Memory, Source
from lilliput.model.transformer import Model


class StandIn(Model):
    """A Model without parts of its own. Parameters, modes, hooks and all other attributes belong to `stands_for`. A
    subclass overrides `forward`, and also `logits` where it computes the logits in another way.

    Its own attributes begin with an underscore. Any other attribute that is set, such as `training`, is set on the
    model.
    """

    def __init__(self, model: Model):
        object.__setattr__(self, "_stands_for", model)

    @property
    def stands_for(self) -> Model:
        """The model whose parts and weights these are."""
        return self.__dict__["_stands_for"]

    def __call__(
        self,
        tokens: torch.Tensor,
        sight: Sight | None = None,
        cache: Cache | None = None,
        blocks: Sequence[Callable[..., torch.Tensor]] | None = None,
        types: torch.Tensor | None = None,
        source: Source | Memory | None = None,
    ) -> torch.Tensor:
        """tokens (B, T) int64 -> hidden states (B, T, d_model), the same as the model's. The hooks of the whole model
        run where `forward` calls the model."""
        return self.forward(tokens, sight, cache, blocks, types, source)

    def __getattr__(self, name: str) -> Any:
        if name == "_stands_for":  # a copy that is not filled yet
            raise AttributeError(name)
        return getattr(self.stands_for, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            object.__setattr__(self, name, value)
        else:
            setattr(self.stands_for, name, value)
