"""The public Python API: train, load, generate, evaluate. It puts the rooms together."""

from lilliput.api.run import Run
from lilliput.api.storyteller import Storyteller, generate, load
from lilliput.api.training import evaluate, train

__all__ = ["Run", "Storyteller", "evaluate", "generate", "load", "train"]
