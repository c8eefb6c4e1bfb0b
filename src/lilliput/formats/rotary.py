"""Rotary pairs: Lilliput and Hugging Face rotate channel i with channel i + half; llama2.c and GGUF's llama rotate
neighbours."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from lilliput.model.config import ModelConfig
from lilliput.model.places import Split


@dataclass(frozen=True, slots=True)
class Paired(Split):
    """Return queries, keys and values as separate tensors, with the rows of each query and key head reordered so that
    pairs are neighbours. Attention uses only products of queries and keys, so the results do not change."""

    def out(self, tensor: torch.Tensor, config: ModelConfig) -> list[torch.Tensor]:
        q, k, v = Split.out(self, tensor, config)
        return [_reorder(q, (2, config.d_head // 2)), _reorder(k, (2, config.d_head // 2)), v]

    def back(self, tensors: list[torch.Tensor], config: ModelConfig) -> torch.Tensor:
        q, k, v = tensors
        half = config.d_head // 2
        return Split.back(self, [_reorder(q, (half, 2)), _reorder(k, (half, 2)), v], config)


def _reorder(rows: torch.Tensor, shape: tuple[int, int]) -> torch.Tensor:
    """Return the rows of each head, viewed as `shape` and transposed."""
    return rows.unflatten(0, (-1, *shape)).transpose(1, 2).flatten(0, 2)
