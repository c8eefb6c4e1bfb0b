"""PredictionHead: the layer between the last hidden states and the output matrix of an encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

from lilliput.model.parts import NORMS, Linear

if TYPE_CHECKING:
    from lilliput.model.config import ModelConfig


class PredictionHead(nn.Module):
    """norm(gelu(dense(x))), as BERT and ModernBERT have it before the output matrix."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.dense = Linear(config.d_model, config.d_model, bias=config.bias)
        self.norm = NORMS[config.norm](config.d_model, config.norm_eps)

    @staticmethod
    def parameters_of(config: ModelConfig) -> int:
        """Number of parameters, in closed form."""
        norm = NORMS[config.norm].parameters_of(config.d_model)
        return config.d_model**2 + config.d_model * config.bias + norm

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """hidden (..., d_model) -> (..., d_model)."""
        return self.norm(F.gelu(self.dense(hidden)))
