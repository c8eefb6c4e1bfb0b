"""A kind of attention: a gate on what each position adds to the residual stream (arXiv:2505.06708)."""

from __future__ import annotations

import torch

from lilliput.model.attention import Attention, Cache
from lilliput.model.config import ModelConfig
from lilliput.model.parts import ATTENTIONS, Linear
from lilliput.model.positions import Position, Tables
from lilliput.model.sight import Seen


@ATTENTIONS.add("gated")
class Gated(Attention):
    """attention(x) sigmoid(gate(x)): a position can add nothing, and need not look at the first token for that."""

    def __init__(self, config: ModelConfig):
        super().__init__(config)
        self.gate = Linear(config.d_model, config.d_model, bias=config.bias)

    @classmethod
    def parameters_of(cls, config: ModelConfig) -> int:
        biases = config.d_model if config.bias else 0
        return super().parameters_of(config) + biases  # which counts the matrices by `matrices_of`

    @classmethod
    def matrices_of(cls, config: ModelConfig) -> int:
        return super().matrices_of(config) + config.d_model**2

    @classmethod
    def kept_of(cls, config: ModelConfig) -> int:
        return super().kept_of(config) + 2 * config.d_model

    def forward(
        self, x: torch.Tensor, position: Position, tables: Tables, seen: Seen, cache: Cache | None, layer: int
    ) -> torch.Tensor:
        """x (B, T, d_model) -> (B, T, d_model)."""
        return super().forward(x, position, tables, seen, cache, layer) * self.gate(x).sigmoid()
