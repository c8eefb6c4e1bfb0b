"""Knowing: the loss by position in the text, with the last k tokens alone, and beside n-gram models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from lilliput.base import seeds
from lilliput.base.errors import DataError
from lilliput.decoding.inference import inference
from lilliput.evaluation.ngram import KneserNey, packed
from lilliput.lens.figures import mean_figure
from lilliput.lens.row_losses import HeldOut
from lilliput.model.transformer import Model

WINDOW_TOKENS = 8192
"""The most tokens of cut contexts in one forward pass."""


@dataclass(frozen=True)
class Targets:
    """Targets that are predicted from cut contexts.

    rows, places  (M,) the row of each target, and its place in `HeldOut.targets`
    nearest       the least number of tokens that stand before every one of them, without the row's first token
    """

    rows: torch.Tensor
    places: torch.Tensor
    nearest: int


def draw_targets(held: HeldOut, count: int, nearest: int, seed: int = 0) -> Targets:
    """Draw `count` scored targets, or as many as there are, with at least `nearest` tokens before them that are not the
    row's first token. Raises DataError where no target has so many."""
    position = torch.arange(held.targets.shape[1], device=held.targets.device)
    rows, places = torch.nonzero((held.sizes > 0) & (position >= nearest), as_tuple=True)
    if not len(rows):
        raise DataError(f"no held-out text is longer than {nearest} tokens", "give longer rows, or shorter contexts")
    drawn = seeds.generator(seed, "targets").permutation(len(rows))[:count]
    chosen = torch.as_tensor(np.sort(drawn), device=rows.device)
    return Targets(rows[chosen], places[chosen], nearest)


def cut_losses(model: Model, held: HeldOut, targets: Targets, length: int) -> np.ndarray:
    """Return the loss of each target in nats, (M,), with the context cut to the row's first token (the beginning mark,
    where the tokenizer has one) and the last `length` tokens. Raises DataError for a length above
    `targets.nearest`."""
    if length > targets.nearest:
        raise DataError(f"the targets have contexts of {targets.nearest} tokens, not {length}")
    back = torch.arange(1 - length, 1, device=held.tokens.device)
    window = held.tokens[targets.rows[:, None], targets.places[:, None] + back]
    return _last_losses(model, torch.cat([held.tokens[targets.rows, :1], window], dim=1), _right(held, targets))


def shuffled_losses(model: Model, held: HeldOut, targets: Targets, seed: int = 0) -> np.ndarray:
    """Return the loss of each target in nats, (M,), with all tokens of the context but the first in random order: the
    control of a context of the same words without their order."""
    parts = []
    rng = seeds.generator(seed, "shuffled context")
    for row, place in zip(targets.rows.tolist(), targets.places.tolist(), strict=True):
        order = torch.as_tensor(1 + rng.permutation(place), device=held.tokens.device)
        tokens = torch.cat([held.tokens[row, :1], held.tokens[row, order]])
        parts.append(_last_losses(model, tokens[None], held.targets[row, place][None]))
    return np.concatenate(parts)


def whole_losses(losses: torch.Tensor, targets: Targets) -> np.ndarray:
    """Return the loss of each target with its whole context, (M,), from the losses of all targets, (N, T)."""
    return losses[targets.rows, targets.places].cpu().double().numpy()


def _right(held: HeldOut, targets: Targets) -> torch.Tensor:
    return held.targets[targets.rows, targets.places]


def _last_losses(model: Model, tokens: torch.Tensor, right: torch.Tensor) -> np.ndarray:
    step = max(1, WINDOW_TOKENS // tokens.shape[1])
    parts = []
    with inference(model):
        for start in range(0, len(tokens), step):
            logits = model.logits(model(tokens[start : start + step])[:, -1])
            parts.append(F.cross_entropy(logits, right[start : start + step], reduction="none"))
    return torch.cat(parts).cpu().double().numpy()


def ngram_losses(grams: np.ndarray, order: int, vocab_size: int, held: HeldOut) -> torch.Tensor:
    """Return the losses of a Kneser-Ney model of this order in nats, (N, T) float32, 0 where a target is not scored.

    grams  packed n-grams of the training text, of this order or a higher one (evaluation.ngram.training_ngrams)
    """
    scored = held.scored.cpu().numpy()
    rows = np.concatenate([held.tokens[:, :1].cpu().numpy(), held.targets.cpu().numpy()], axis=1)
    learned = np.concatenate([np.zeros((len(rows), 1), dtype=bool), scored], axis=1)
    wanted = packed(list(rows), order, vocab_size, list(learned))
    losses = np.zeros(scored.shape)
    losses[scored] = -np.log(KneserNey(grams, order, vocab_size).probabilities(wanted))
    return torch.from_numpy(losses).float().to(held.tokens.device)


def per_byte(held: HeldOut, targets: Targets, losses: np.ndarray, seed: int = 0) -> dict[str, Any]:
    """Return the bits per byte of drawn targets with the 95% interval by bootstrap over the targets."""
    sizes = held.sizes[targets.rows, targets.places].cpu().double().numpy()
    return mean_figure((losses / np.log(2) / sizes.mean()).tolist(), seed)


def position_bins(length: int) -> list[tuple[int, int]]:
    """Return bins of positions that double: (0, 1), (1, 2), (2, 4), (4, 8) ... up to `length`."""
    edges = [0, 1]
    while edges[-1] < length:
        edges.append(min(length, 2 * edges[-1]))
    return list(pairwise(edges))


def by_position(held: HeldOut, losses: torch.Tensor, bins: Sequence[tuple[int, int]]) -> list[dict[str, Any] | None]:
    """Return the bits per byte of the targets whose place is within each bin [start, stop), with the interval over the
    rows; None for a bin without a byte."""
    place = torch.arange(held.targets.shape[1], device=held.targets.device)
    found: list[dict[str, Any] | None] = []
    for start, stop in bins:
        inside = (place >= start) & (place < stop)
        found.append(mean_figure(held.bits(losses, inside).tolist()) if bool((held.sizes * inside).any()) else None)
    return found
