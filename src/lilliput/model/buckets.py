"""Relative position buckets: a learned bias of the scores by the distance of query and key (T5, arXiv:1910.10683)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import nn

from lilliput.model.biased import Biased
from lilliput.model.parts import POSITIONS, Role

if TYPE_CHECKING:
    from lilliput.model.config import ModelConfig


@POSITIONS.add("buckets")
class Buckets(Biased):
    """One bias a bucket and head, for all layers of a stack. A causal stack has all `position_buckets` for earlier
    positions; a stack that sees both sides has half of them for each side.

    The first half of a side's buckets holds one distance each. The other half holds distances that grow by a constant
    factor up to `position_distance`, and all further distances are in the last bucket."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.both = not config.causal
        self.count, self.furthest = config.position_buckets, config.position_distance
        self.weight = nn.Parameter(torch.empty(config.position_buckets, config.n_heads))

    @staticmethod
    def parameters_of(config: ModelConfig) -> int:
        return config.position_buckets * config.n_heads

    def roles(self) -> dict[str, Role]:
        """The role of the weight (position_buckets, n_heads)."""
        return {"weight": Role("table")}

    def biases(self, distances: torch.Tensor) -> torch.Tensor:
        return nn.functional.embedding(self.numbers(distances), self.weight).movedim(-1, 0)

    def numbers(self, distances: torch.Tensor) -> torch.Tensor:
        """Distances of any shape (...,), the key's position less the query's -> their buckets, int64."""
        count, first = self.count, torch.zeros_like(distances)
        if self.both:
            count //= 2
            first = count * (distances > 0)
            distances = distances.abs()
        else:
            distances = (-distances).clamp_min(0)
        exact = count // 2
        ratio = distances.clamp_min(1).float() / exact
        grown = exact + (ratio.log() / math.log(self.furthest / exact) * (count - exact)).long()
        return first + torch.where(distances < exact, distances, grown.clamp_max(count - 1))
