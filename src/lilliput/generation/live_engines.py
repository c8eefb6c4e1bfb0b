"""LiveEngines: engines on the weights of a model in training, with the weights as they are or in bf16."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from lilliput.decoding.engine import Engine
from lilliput.generation.loading import faster

if TYPE_CHECKING:
    from lilliput.decoding.native import Weights
    from lilliput.generation.text_generator import TextGenerator
    from lilliput.model.transformer import Model


class LiveEngines:
    """Makes engines on the model of `generator` (see Workshop.engine)."""

    def __init__(self, generator: TextGenerator):
        self._generator = generator

    def __call__(self, rows: int, capacity: int | None = None, weights: Weights = "own") -> Engine:
        """Return an engine of `rows` texts at once, each of `capacity` tokens at most. With weights="bf16", it computes
        in bf16 where native steps have instructions for that, and else as with "own"."""
        return Engine(self._in_bf16 if weights == "bf16" else self._generator.decoder, rows, capacity)

    @cached_property
    def _in_bf16(self) -> Model:
        # The generator's own decoder has printed the reason where native steps are not used.
        model = self._generator.model
        made = faster(model, lambda line: None, weights="bf16")
        return model if made is None else made(model)
