"""Matching: heads of two models by their patterns on the same text, and neurons by their activations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from lilliput.base import seeds
from lilliput.base.errors import ConfigError
from lilliput.decoding.inference import inference
from lilliput.generation.text_generator import TextGenerator
from lilliput.lens.capture import capture
from lilliput.lens.figures import mean_figure
from lilliput.lens.row_losses import HeldOut, held_out
from lilliput.model.transformer import Model

PAIRS = 64
"""Matched pairs that are returned, the most alike first."""


@dataclass(frozen=True)
class Signals:
    """The activity of the units of a model on held-out rows, a signal for each unit.

    names    of the units, such as 'head 0.1' or 'neuron 2.17'
    signals  (rows, units, numbers of a row): of a head its pattern, of a neuron its activation at each position
    """

    names: list[str]
    signals: torch.Tensor


def check_same_text(first: TextGenerator, second: TextGenerator) -> None:
    """Raise ConfigError where two models read the same text as other tokens, or in another direction, so that their
    units cannot be matched position by position."""
    if first.tokenizer.sha256 != second.tokenizer.sha256:
        raise ConfigError(
            "the two models cut text into other tokens, so that their activations do not belong to the same positions",
            "train the second with the tokenizer of the first: lilliput train RECIPE tokenizer.path=FOLDER",
        )
    if first.objective.reads_forwards != second.objective.reads_forwards:
        raise ConfigError(
            "one of the two models reads backwards, so that their activations do not belong to the same positions",
            "match two models of the same objective",
        )


def head_signals(model: Model, held: HeldOut) -> Signals:
    """Return the patterns of all heads, less the pattern that looks at all earlier positions alike. Of a pattern only
    the scored queries count, and the keys up to each query."""
    with inference(model), capture(model, "blocks.*.attn.hook_pattern") as seen:
        model(held.tokens)
    length = held.tokens.shape[1]
    below = torch.ones(length, length, dtype=torch.bool, device=held.tokens.device).tril()
    even = below / below.sum(1, keepdim=True)
    counted = below & held.scored[:, :, None]
    parts = []
    for layer in range(model.config.n_layers):
        pattern = (seen[f"blocks.{layer}.attn.hook_pattern"].float() - even) * counted[:, None]
        parts.append(pattern[:, :, below])
    heads = range(model.config.n_heads)
    names = [f"head {layer}.{index}" for layer in range(model.config.n_layers) for index in heads]
    return Signals(names, torch.cat(parts, dim=1))


def neuron_signals(model: Model, held: HeldOut) -> Signals:
    """Return the activations of all neurons (`mlp.hook_post`), less each neuron's mean, at the scored positions; 0 at
    the other positions."""
    with inference(model), capture(model, "blocks.*.mlp.hook_post") as seen:
        model(held.tokens)
    counted = held.scored[:, None]
    parts = []
    for layer in range(model.config.n_layers):
        value = seen[f"blocks.{layer}.mlp.hook_post"].float().transpose(1, 2)
        mean = (value * counted).sum((0, 2), keepdim=True) / counted.sum()
        parts.append((value - mean) * counted)
    names = [f"neuron {layer}.{i}" for layer in range(model.config.n_layers) for i in range(model.config.d_mlp)]
    return Signals(names, torch.cat(parts, dim=1))


def correlations(first: Signals, second: Signals) -> torch.Tensor:
    """Return the correlation of every unit of the first model with every unit of the second, (units, units) float32.
    0 for a unit that never changes."""
    product = torch.einsum("nud,nvd->uv", first.signals, second.signals)
    sizes = [one.signals.square().sum((0, 2)).sqrt() for one in (first, second)]
    return product / (sizes[0][:, None] * sizes[1]).clamp(min=1e-12)


def with_rows_shuffled(signals: Signals, seed: int = 0) -> Signals:
    """Return the same signals with the rows of text moved, so that no row meets itself: the control for what depends on
    the position alone."""
    rows = len(signals.signals)
    if rows < 2:
        raise ConfigError("one row of text cannot be exchanged with another", "give at least two held-out rows")
    moved = int(seeds.generator(seed, "moved rows").integers(1, rows))
    return Signals(signals.names, signals.signals.roll(moved, 0))


def best_matches(found: torch.Tensor) -> list[tuple[int, float]]:
    """Return, for each unit of the first model, the unit of the second with the largest correlation, and this
    correlation. A unit of the second may be the best of several."""
    values, places = found.max(1)
    return list(zip(places.tolist(), values.tolist(), strict=True))


def greedy_pairs(found: torch.Tensor, most: int = PAIRS) -> list[tuple[int, int, float]]:
    """Return at most `most` one-to-one pairs (first, second, correlation), the largest correlation first: the largest
    of the matrix, then the largest among the units that are left. Greedy pairs are not always the pairs of the largest
    sum. The Hungarian method finds these, and needs scipy, on which Lilliput does not depend."""
    left = found.clone()
    pairs = []
    for _ in range(min(most, *found.shape)):
        place = int(left.argmax())
        row, column = divmod(place, found.shape[1])
        pairs.append((row, column, float(found[row, column])))
        left[row, :] = left[:, column] = -torch.inf
    return pairs


def match_units(first: Signals, second: Signals, seed: int = 0) -> dict[str, Any]:
    """Match the units of two models. `best` is the mean over the first model's units of the largest correlation with a
    unit of the second, with its 95% bootstrap interval over the units; `shuffled` is the same with the second model's
    rows of text moved."""
    found = correlations(first, second)
    moved = correlations(first, with_rows_shuffled(second, seed))
    return {
        "best": mean_figure(found.max(1).values.tolist(), seed),
        "shuffled": mean_figure(moved.max(1).values.tolist(), seed),
        "pairs": [[first.names[a], second.names[b], value] for a, b, value in greedy_pairs(found)],
    }


def match_models(
    first: TextGenerator, second: TextGenerator, rows: torch.Tensor, most: int | None = None, seed: int = 0
) -> dict[str, Any]:
    """Match the heads and the neurons of two models on the first `most` held-out rows, (N, T) int64. The models may
    differ in size, seed and step. Rows are cut to the shorter context. Raises ConfigError for models with other
    tokenizers or directions."""
    check_same_text(first, second)
    context = min(first.model.config.context_length, second.model.config.context_length)
    held = held_out(first, rows[:, : context + 1], most)
    kinds = {"heads": head_signals, "neurons": neuron_signals}
    return {
        kind: match_units(signals(first.model, held), signals(second.model, held), seed)
        for kind, signals in kinds.items()
    }
