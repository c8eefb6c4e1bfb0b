"""Biases that a model lacks and that a stock class or a file format asks for."""

from __future__ import annotations

import torch

from lilliput.model.config import ModelConfig
from lilliput.model.transformer import Model


def absent_biases(config: ModelConfig) -> dict[str, torch.Tensor]:
    """The biases that a model of `config` lacks and has with `bias=true`, by name in the model's order, each (outputs,)
    on the meta device. Empty where it has them. The parts themselves answer: the two models are compared."""
    with torch.device("meta"):
        own = Model(config, seed=None).state_dict()
        full = Model(config.model_copy(update={"bias": True}), seed=None).state_dict()
    return {name: bias for name, bias in full.items() if name not in own}


def with_zero_biases(model: Model) -> dict[str, torch.Tensor]:
    """The model's tensors by name, with zeros for the biases that it lacks: a model of the same logits, (B, T,
    vocab_size)."""
    embedding = model.embed.weight
    zeros = {name: embedding.new_zeros(bias.shape) for name, bias in absent_biases(model.config).items()}
    return {**model.state_dict(), **zeros}
