"""Names in a run folder: its files, and the keys of metrics.jsonl and summary.json that more than one room spells.

Keys that are plain words (step, tokens, seconds, loss, parameters, flops) are written as they are.
Figures that objectives measure are named in objectives/figure.py, because objectives cannot import this room.
tests/runs/test_names.py looks for the names below in the rest of the package.
"""

from __future__ import annotations

from lilliput.objectives.figure import (
    VAL_BITS_PER_BYTE,
    VAL_LOSS,
    VAL_MIDDLE_AFTER,
    VAL_MIDDLE_BITS,
    VAL_MIDDLE_SENTENCES,
    VAL_MIDDLE_WORDS,
    VAL_MIDDLES,
    VAL_PERPLEXITY,
    VALIDATION,
)

__all__ = [
    "VALIDATION",
    "VAL_BITS_PER_BYTE",
    "VAL_LOSS",
    "VAL_MIDDLES",
    "VAL_MIDDLE_AFTER",
    "VAL_MIDDLE_BITS",
    "VAL_MIDDLE_SENTENCES",
    "VAL_MIDDLE_WORDS",
    "VAL_PERPLEXITY",
]

RECIPE = "recipe.yaml"
SETTINGS = "settings.json"
METRICS = "metrics.jsonl"
SUMMARY = "summary.json"
SAMPLES = "samples.md"
ROLLOUTS = "rollouts.jsonl"
"""The best and the worst completion of a logged step, for a run that learns from rewards."""
HEADS = "heads.jsonl"
"""Scores of the attention heads through a run that is watched (`evaluate.watch`)."""
REPORT = "report.html"
EVALUATION = "evaluation.json"
LENS = "lens.html"
LENS_FIGURES = "lens.json"
"""The page of `lilliput lens`, and its figures."""
LENS_EVOLVE = "lens-evolve.html"
CHECKPOINTS = "checkpoints"
ADAPTER = "adapter"
"""The folder of a checkpoint that holds an adapter, beside model/, which holds it merged."""
ORIGIN = "origin"
"""The state in a checkpoint that names the weights that its run began with: their folder and SHA-256."""

OPTIMIZER = "optimizer.safetensors"
STATE = "state.json"
"""The files in a checkpoint's trainer/ folder."""

VAL_TOKENS = "val_tokens"
VAL_HERO_KEPT = "val_hero_kept"
"""The share, 0 to 1, of stories about named children that keep their hero."""
VAL_HEROES = "val_heroes"
"""The number of such stories behind the summary's share."""
TOKENS_PER_SECOND = "tokens_per_second"
PEAK_MEMORY_BYTES = "peak_memory_bytes"
EXPERT_LOAD = "expert_load"
"""For each layer with experts the share of the router's choices that each expert had."""
GRADIENTS = "grad_norm_by_block"
"""The norm of the gradient of each block, before clipping, in a run of `train.log_gradients`."""
EPSILON = "epsilon"
"""The epsilon that the steps so far have spent, in a run with `train.privacy`."""
PRIVACY = "privacy"
"""The accounts of such a run in its summary: epsilon, delta, noise, examples, and the parts that they do not cover."""
TRAINING_SECONDS = "training_seconds"
"""Seconds of the steps alone; `seconds` has evaluations and samples besides."""
OLD_DOMAIN = "old_domain"
"""Bits per byte on the text of the run whose weights a run began with, before and after."""
BAND = "loss_band"
"""Where the last evaluation lies beside the runs of the shipped recipe (see bands.py); only for a run by it."""
