"""compiled: a model whose one-token steps are compiled, for decoding without Python between its hundred small parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from lilliput.base.errors import ModelError
from lilliput.decoding.cache import KVCache
from lilliput.model.attention import Cache
from lilliput.model.positions import Where
from lilliput.model.sight import CAUSAL, Sight
from lilliput.model.stand_in import StandIn
from lilliput.model.transformer import Model


def compiled(model: Model) -> Model:
    """What stands in for `model` wherever it is told with a KVCache.

    Steps have fixed shapes: one row, or all that the cache has room for (rows without a text are computed and left
    aside), each looking at the whole capacity. So two compilations at most serve any mix of lengths under one cache;
    prompts and everything else go to the plain model.
    """
    return _Compiled(model)


class _Compiled(StandIn):
    def __init__(self, model: Model):
        super().__init__(model)
        self._step = torch.compile(_step, dynamic=False)

    def forward(
        self,
        tokens: torch.Tensor,
        sight: Sight = CAUSAL,
        cache: Cache | None = None,
        blocks: Sequence[Callable[..., torch.Tensor]] | None = None,
    ) -> torch.Tensor:
        """tokens (B, T) -> hidden states (B, T, d_model), as the model gives them."""
        step = sight is CAUSAL and blocks is None and tokens.shape[1] == 1
        # A prompt of one token has a cache of its own.
        if not step or not isinstance(cache, KVCache) or not max(cache.lengths):
            return self.stands_for(tokens, sight, cache, blocks)
        if max(cache.lengths) >= cache.capacity:
            raise ModelError(f"the key-value cache is full: it holds {cache.capacity} positions")
        used, rows = cache.batch, 1 if cache.batch == 1 else cache.room
        at = torch.zeros(rows, dtype=torch.int64, device=tokens.device)
        at[:used] = torch.tensor(cache.lengths)
        padded = torch.zeros(rows, 1, dtype=torch.int64, device=tokens.device)
        padded[:used] = tokens
        keys = [layer[:rows] for layer in cache.keys]
        values = [layer[:rows] for layer in cache.values]
        return self._step(self.stands_for, padded, at, keys, values)[:used]


def _step(
    model: Model, tokens: torch.Tensor, at: torch.Tensor, keys: list[torch.Tensor], values: list[torch.Tensor]
) -> torch.Tensor:
    """Hidden states (B, 1, d_model) of tokens (B, 1) at positions `at` (B,); keys and values, (B, Hkv, capacity, d) a
    layer, are written in place."""
    return model(tokens, cache=_Fixed(keys, values, at[:, None]))


class _Fixed:
    """A KVCache in the form that compiles once: positions are a tensor, and everything is looked at behind a mask."""

    def __init__(self, keys: list[torch.Tensor], values: list[torch.Tensor], at: torch.Tensor):
        self.keys, self.values, self.at = keys, values, at

    def places(self, new: int) -> tuple[Where, int]:
        return self.at, self.keys[0].shape[2]

    def update(self, layer: int, k: torch.Tensor, v: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        rows = torch.arange(len(self.at), device=self.at.device)[:, None]
        self.keys[layer][rows, :, self.at] = k.transpose(1, 2)
        self.values[layer][rows, :, self.at] = v.transpose(1, 2)
        return self.keys[layer], self.values[layer]
