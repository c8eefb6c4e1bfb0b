"""Figure: the number by which a run is judged, and the names of an objective's figures in a run's files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

VALIDATION = "val_"
"""The prefix of every validation figure's key. A line of metrics with such a key belongs to an evaluation."""
VAL_LOSS = "val_loss"
"""Nats a token."""
VAL_BITS_PER_BYTE = "val_bits_per_byte"
VAL_PERPLEXITY = "val_perplexity"
VAL_MIDDLE_BITS = "val_middle_bits_per_byte"
"""Bits per byte of the middles of held-out documents, given the text on both sides."""
VAL_MIDDLE_AFTER = "val_middle_bits_per_byte_left_to_right"
"""The same middles given the text before them alone."""
VAL_MIDDLE_WORDS = "val_middle_words_exact"
"""The share of missing words that greedy generation gives to the letter, 0 to 1."""
VAL_MIDDLE_SENTENCES = "val_middle_sentences_exact"
"""The same of missing sentences."""
VAL_MIDDLES = "val_middles"
"""The number of middles behind the bits per byte."""


@dataclass(frozen=True, slots=True)
class Figure:
    """The number by which a run is judged; lower is better.

    training    its name in the record of a step, for the figure of the training batches
    validation  its name in the record of an evaluation
    unit        its unit, for people
    """

    training: str = "loss"
    validation: str = VAL_LOSS
    unit: str = "nats"

    @property
    def label(self) -> str:
        """The unit as reports, pictures and cards print it."""
        return "bits per byte" if self == BITS else self.unit

    def named(self, value: Any) -> dict[str, Any]:
        """A value of the figure in the JSON of commands and of the server: under `figure` with the figure's name and
        unit, and under `val_bits_per_byte`, which is null where the figure is another."""
        named = {"name": self.validation, "unit": self.label, "value": value}
        return {VAL_BITS_PER_BYTE: value if self == BITS else None, "figure": named}


BITS = Figure("bits_per_byte", VAL_BITS_PER_BYTE, "bits a byte")
"""The figure of every model of text."""
