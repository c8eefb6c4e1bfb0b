"""The public Python API: train, load, generate, evaluate, export, push, pull. It puts the rooms together."""

from lilliput.api.exchange import export, import_file, pull, push
from lilliput.api.run import Run
from lilliput.api.storyteller import Storyteller, generate, load
from lilliput.api.training import evaluate, train

__all__ = ["Run", "Storyteller", "evaluate", "export", "generate", "import_file", "load", "pull", "push", "train"]
