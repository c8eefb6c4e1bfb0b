"""The position of a token as the model sees it: rotary (RoPE, arXiv:2104.09864), learned vectors or none; biases of the
scores by distance are in biased.py and buckets.py."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import torch
from torch import nn

from lilliput.base.errors import ModelError
from lilliput.model.parts import POSITIONS, Role

if TYPE_CHECKING:
    from lilliput.model.biased import Bias
    from lilliput.model.config import ModelConfig

Where = slice | torch.Tensor
"""Positions of the tokens: a slice for a whole batch at once, or (B, T) int64 where rows differ."""
Tables: TypeAlias = "tuple[torch.Tensor, torch.Tensor] | Bias | None"
"""What a kind of position gives to each layer: a pair of tensors that turns queries and keys, or a bias that is added
to the scores."""
MOST_ROWS = 2**15
"""The most positions whose angles are kept, because a config.json may name millions of positions without any data for
them."""


class Position(nn.Module):
    """A kind of position: vectors that are added to the embeddings, or a rotation of queries and keys."""

    relative = False
    """Whether only distances count, so that segments need no separate positions."""
    turns = False
    """Whether `turn` makes new tensors, which the backward pass keeps."""

    @staticmethod
    def parameters_of(config: ModelConfig) -> int:
        """Closed-form number of parameters."""
        return 0

    def vectors(self, where: Where, end: int) -> torch.Tensor | None:
        """The vectors added to the embeddings, (T, d_model) or (B, T, d_model). Positions are below `end`."""
        return None

    def tables(self, where: Where, end: int, dtype: torch.dtype) -> Tables:
        """The tensors that `turn` needs, computed once for all layers."""
        return None

    def turn(self, x: torch.Tensor, tables: Tables) -> torch.Tensor:
        """Queries or keys (B, T, heads, d_head) with the position in them."""
        return x


@POSITIONS.add("none")
class NoPosition(Position):
    """No position at all: a causal model can count what it sees (NoPE, arXiv:2305.19466)."""

    relative = True

    def __init__(self, config: ModelConfig):
        super().__init__()


@POSITIONS.add("learned")
class Learned(Position):
    """One learned vector a position, added to the token's embedding."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(config.context_length, config.d_model))

    @staticmethod
    def parameters_of(config: ModelConfig) -> int:
        return config.context_length * config.d_model

    def roles(self) -> dict[str, Role]:
        """The role of the weight (context_length, d_model)."""
        return {"weight": Role("table")}

    def vectors(self, where: Where, end: int) -> torch.Tensor | None:
        if end > len(self.weight):
            raise ModelError(
                f"position {end - 1} is needed, but the model learned {len(self.weight)} positions",
                "shorten the text, or train with a larger model.context_length",
            )
        return self.weight[where] if isinstance(where, slice) else nn.functional.embedding(where, self.weight)


@POSITIONS.add("rotary")
class Rotary(Position):
    """Rotates pairs of channels of queries and keys by an angle that grows with the position.

    Channel i is paired with channel i + rotated / 2 (the 'halves' convention of Hugging Face). The first
    `rotary_fraction` of each head is rotated, and the other channels stay unchanged (GPT-NeoX).
    """

    relative = True
    turns = True

    def __init__(self, config: ModelConfig, windowed: bool = False):
        """`windowed`: the angles of the layers with a window, where they differ (`rope_theta_window`)."""
        super().__init__()
        self.rotated = int(config.d_head * config.rotary_fraction)
        own = config.rope_theta_window if windowed else None
        self.theta = own or config.rope_theta
        self._scaling = None if own else config.rope_scaling
        cos, sin = self._angles(torch.arange(min(config.context_length, MOST_ROWS)))
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)

    def _angles(self, positions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """cos and sin of position * theta^(-2i / rotated), each (..., rotated / 2) fp32."""
        steps = torch.arange(0, self.rotated, 2, device=positions.device).float() / self.rotated
        frequencies = 1.0 / self.theta**steps
        if self._scaling is not None:
            frequencies = self._scaling.scaled(frequencies)
        angles = positions.float().unsqueeze(-1) * frequencies
        return angles.cos(), angles.sin()

    def tables(self, where: Where, end: int, dtype: torch.dtype) -> Tables:
        """cos and sin, (T, 1, rotated / 2) or (B, T, 1, rotated / 2); beyond the table they are computed at each
        call."""
        assert isinstance(self.cos, torch.Tensor)
        assert isinstance(self.sin, torch.Tensor)
        if end <= len(self.cos):
            cos, sin = self.cos[where], self.sin[where]
        else:
            range_ = torch.arange(end, device=self.cos.device)
            cos, sin = self._angles(range_[where] if isinstance(where, slice) else where)
        return cos.unsqueeze(-2).to(dtype), sin.unsqueeze(-2).to(dtype)

    def turn(self, x: torch.Tensor, tables: Tables) -> torch.Tensor:
        assert isinstance(tables, tuple)
        cos, sin = tables
        half = self.rotated // 2
        # One split, because two slices would each pad their gradient with zeros and add them up.
        first, second, *rest = x.split([half, half] + [x.shape[-1] - self.rotated] * (self.rotated < x.shape[-1]), -1)
        return torch.cat([first * cos - second * sin, second * cos + first * sin, *rest], dim=-1)
