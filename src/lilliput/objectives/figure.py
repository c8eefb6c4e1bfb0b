"""Figure: the number that a run is judged by, and the names of an objective's figures in a run's files."""

from __future__ import annotations

from dataclasses import dataclass

VALIDATION = "val_"
"""How every key of a validation figure begins: a line of metrics with such a key is an evaluation's."""
VAL_LOSS = "val_loss"
"""Nats a token."""
VAL_BITS_PER_BYTE = "val_bits_per_byte"
VAL_PERPLEXITY = "val_perplexity"


@dataclass(frozen=True, slots=True)
class Figure:
    """The number that a run is judged by; lower is better.

    training    its name in the record of a step, where it is the training batches' own
    validation  its name in the record of an evaluation
    unit        what it counts, for people
    """

    training: str = "loss"
    validation: str = VAL_LOSS
    unit: str = "nats"

    @property
    def label(self) -> str:
        """The unit as reports, pictures and cards print it."""
        return "bits per byte" if self == BITS else self.unit


BITS = Figure("bits_per_byte", VAL_BITS_PER_BYTE, "bits a byte")
"""What every model of text is judged by."""
