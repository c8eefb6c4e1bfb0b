"""A position: sines and cosines added to the embeddings (arXiv:1706.03762, section 3.5)."""

from __future__ import annotations

import torch

from lilliput.model.config import ModelConfig
from lilliput.model.parts import POSITIONS
from lilliput.model.positions import Position, Where


@POSITIONS.add("sinusoidal")
class Sinusoidal(Position):
    """Half of the channels are sines and half cosines, at rates from 1 down to 1 / 10,000; a tenth in size, since
    embeddings begin at N(0, 0.02)."""

    rates: torch.Tensor

    def __init__(self, config: ModelConfig):
        super().__init__()
        exponents = torch.arange(0, config.d_model, 2).float() / config.d_model
        self.register_buffer("rates", 10_000.0**-exponents, persistent=False)

    def vectors(self, where: Where, end: int) -> torch.Tensor:
        places = torch.arange(end, device=self.rates.device)[where] if isinstance(where, slice) else where
        angles = places.float().unsqueeze(-1) * self.rates
        return 0.1 * torch.cat([angles.sin(), angles.cos()], dim=-1)
