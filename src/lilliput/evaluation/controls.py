"""Controls: what a model is compared with. Here: its own shape with untrained weights."""

from __future__ import annotations

from lilliput.generation.text_generator import TextGenerator
from lilliput.model.transformer import Model

UNTRAINED = "untrained weights"
"""Its name in tables."""


def untrained(generator: TextGenerator) -> TextGenerator:
    """A generator that differs in the model's weights alone: those that a run with seed 0 starts from."""
    device = next(generator.model.parameters()).device
    return generator.with_model(Model(generator.model.config, seed=0).to(device))
