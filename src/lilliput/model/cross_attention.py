"""Attention of a decoder to the source that its encoder has read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from lilliput.base.errors import ModelError
from lilliput.model.attention import Weighing, head_norms
from lilliput.model.parts import Linear
from lilliput.model.sight import Across

if TYPE_CHECKING:
    from lilliput.model.attention import Cache
    from lilliput.model.config import ModelConfig
    from lilliput.model.source import Memory


class CrossAttention(Weighing):
    """Queries from the decoder's stream, keys and values from the encoder's last hidden states (arXiv:1706.03762).

    Every position of the decoder sees all real positions of the source. Neither side has a position here, as in T5. The
    keys and values of a source are computed once: a cache keeps them with the texts.
    """

    def __init__(self, config: ModelConfig):
        super().__init__(config)
        biased, keys = config.bias or config.qkv_bias, config.n_kv_heads * config.d_head
        self.q = Linear(config.d_model, config.n_heads * config.d_head, bias=biased)
        self.kv = Linear(config.d_model, 2 * keys, bias=biased, stacked=(keys, keys))
        self.out = Linear(config.n_heads * config.d_head, config.d_model, bias=config.bias, writes=True)
        self.q_norm, self.k_norm = head_norms(config)

    @classmethod
    def flops_of(cls, config: ModelConfig, seen: int) -> int:
        """Return the FLOPs of one token of a decoder whose source has `seen` positions, where the source is as long as
        the decoder's text."""
        return 2 * cls.active_of(config) + 4 * config.n_heads * config.d_head * seen

    @classmethod
    def kept_of(cls, config: ModelConfig) -> int:
        return 2 * (config.n_heads + config.n_kv_heads) * config.d_head

    @classmethod
    def cached_of(cls, config: ModelConfig) -> int:
        return 2 * config.n_kv_heads * config.d_head

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, x: torch.Tensor, memory: Memory | None, cache: Cache | None, layer: int
    ) -> torch.Tensor:
        """x (B, T, d_model) -> (B, T, d_model). The source is `memory`, which a cache keeps from then on, or the source
        that the cache has kept. Raises ModelError without either."""
        if memory is not None:
            k, v, lengths = *self._keys_and_values(memory.hidden), memory.lengths
            if cache is not None:
                cache.remember(layer, k, v, lengths)
        elif cache is not None:
            k, v, lengths = cache.remembered(layer)
        else:
            raise ModelError("a decoder with an encoder needs a source", "give source=Source(tokens)")
        q = self.hook_q(self.q(x).unflatten(-1, (self.heads, self.width)))
        q = self.normed(self.q_norm, q).transpose(1, 2)
        return self.out(self.weighed(q, k.to(q.dtype), v.to(q.dtype), Across(lengths, k.shape[2], k.device)))

    def _keys_and_values(self, hidden: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """hidden (B, S, d_model) -> keys and values (B, n_kv_heads, S, d_head)."""
        k, v = self.kv(hidden).unflatten(-1, (2 * self.shared, self.width)).chunk(2, dim=2)
        k, v = self.normed(self.k_norm, self.hook_k(k)), self.hook_v(v)
        return k.transpose(1, 2), v.transpose(1, 2)
