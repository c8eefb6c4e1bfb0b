"""The public Python API: train, load, generate, evaluate, export, push, pull. It puts the rooms together."""

from lilliput.api.benchmarking import benchmark, overlaps
from lilliput.api.evaluation import evaluate, score_text
from lilliput.api.exchange import export, import_file, pull, push
from lilliput.api.judging import complete, judge
from lilliput.api.run import Run
from lilliput.api.storyteller import Storyteller, generate, load
from lilliput.api.training import train

__all__ = [
    "Run",
    "Storyteller",
    "benchmark",
    "complete",
    "evaluate",
    "export",
    "generate",
    "import_file",
    "judge",
    "load",
    "overlaps",
    "pull",
    "push",
    "score_text",
    "train",
]
