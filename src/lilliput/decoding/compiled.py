"""compiled: a model whose one-token steps are compiled, so that decoding runs no Python between its hundred small
operations."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from lilliput.base.console import warn
from lilliput.base.errors import ModelError
from lilliput.decoding.cache import KVCache
from lilliput.decoding.int8 import Int8Linear
from lilliput.model import plain
from lilliput.model.attention import Cache
from lilliput.model.fields import known
from lilliput.model.positions import Where
from lilliput.model.sight import CAUSAL, Sight
from lilliput.model.source import Memory, Source
from lilliput.model.stand_in import StandIn
from lilliput.model.transformer import Model

FIELDS = known(
    "style d_model n_layers n_heads n_kv_heads d_head d_mlp vocab_size context_length norm norm_eps position "
    "rope_theta rotary_fraction mlp qk_norm window residual bias dropout tied_embeddings init"
)
"""The config fields whose effect on a cache, and on the positions that are seen, `_Fixed` computes."""


def refuses(model: Model) -> list[str]:
    """The reasons why compiled steps may differ from the model: unknown config fields, wrapped or unknown modules and
    tensors, and active hooks. A compiled graph does not notice when a hook is set or removed."""
    return [*_unnamed(model), *plain.hooked(model)]


def _unnamed(model: Model) -> list[str]:
    return plain.unnamed(model, FIELDS, instead=(Int8Linear,))


def compiled(model: Model) -> Model:
    """Decodes in place of `model` with a KVCache. The one-token steps are compiled, and the model computes all other
    calls.

    Steps have fixed shapes: one row, or all rows of the cache, each attending to the whole capacity. Rows without a
    text are computed and left aside. So at most two compilations serve any mix of lengths under one cache.

    The model itself computes prompts, and all steps while `refuses` gives reasons, also where these came later. The
    first time, a line on standard error gives the reasons.
    """
    return _Compiled(model)


class _Compiled(StandIn):
    def __init__(self, model: Model):
        super().__init__(model)
        self._aside = plain.Aside(model, _unnamed, "compiled steps", warn)
        self._step = torch.compile(_step, dynamic=False)

    def forward(
        self,
        tokens: torch.Tensor,
        sight: Sight | None = None,
        cache: Cache | None = None,
        blocks: Sequence[Callable[..., torch.Tensor]] | None = None,
        types: torch.Tensor | None = None,
        source: Source | Memory | None = None,
    ) -> torch.Tensor:
        """tokens (B, T) -> hidden states (B, T, d_model), the same as the model's."""
        step = sight in (None, CAUSAL) and blocks is None and types is None and source is None and tokens.shape[1] == 1
        # A prompt of one token has a cache of its own.
        if not step or not isinstance(cache, KVCache) or not max(cache.lengths) or self._aside():
            return self.stands_for(tokens, sight, cache, blocks, types, source)
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


class _Fixed(Cache):
    """A KVCache in the form that compiles once: positions are a tensor, and a mask hides the unused part."""

    def __init__(self, keys: list[torch.Tensor], values: list[torch.Tensor], at: torch.Tensor):
        self.keys, self.values, self.at = keys, values, at

    def places(self, new: int) -> tuple[Where, int]:
        return self.at, self.keys[0].shape[2]

    def update(self, layer: int, k: torch.Tensor, v: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        rows = torch.arange(len(self.at), device=self.at.device)[:, None]
        self.keys[layer][rows, :, self.at] = k.transpose(1, 2)
        self.values[layer][rows, :, self.at] = v.transpose(1, 2)
        return self.keys[layer], self.values[layer]
