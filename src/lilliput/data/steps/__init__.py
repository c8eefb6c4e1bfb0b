"""Curation steps: the changes to a document between its source and the tokenizer. No other code rewrites text."""

from lilliput.data.steps.basics import Length, Normalise, normalised
from lilliput.data.steps.step import STEPS, CorpusStep, Dropped, Step, decided, step_into

__all__ = ["STEPS", "CorpusStep", "Dropped", "Length", "Normalise", "Step", "decided", "normalised", "step_into"]
