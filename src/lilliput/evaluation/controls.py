"""Controls that a model is compared with: its own shape with untrained weights."""

from __future__ import annotations

from lilliput.generation.text_generator import TextGenerator
from lilliput.model.transformer import Model

UNTRAINED = "untrained weights"
"""The control's name in tables."""


def untrained(generator: TextGenerator) -> TextGenerator:
    """Return a generator that differs in the model's weights alone. Its weights are the first weights of a run with
    seed 0."""
    device = next(generator.model.parameters()).device
    return generator.with_model(Model(generator.model.config, seed=0).to(device))
