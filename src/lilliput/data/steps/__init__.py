"""Curation steps: the changes to a document between its source and the tokenizer. No other code rewrites text."""

from lilliput.data.steps.basics import Length, Normalise, normalised
from lilliput.data.steps.step import STEPS, Dropped, Step, applied

__all__ = ["STEPS", "Dropped", "Length", "Normalise", "Step", "applied", "normalised"]
