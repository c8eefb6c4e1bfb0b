"""Pairs of a context and a continuation: how they are cut into tokens, and what a model's score of one holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from lilliput.base.errors import DataError, ModelError

if TYPE_CHECKING:
    from lilliput.data.tokenizer import Tokenizer
    from lilliput.model.transformer import Model

Pair = tuple[str, str]
LOGITS = 1 << 24
"""The most logits in memory at once."""


@dataclass(slots=True)
class PairScore:
    """log_probability  of the continuation after its context, in nats
    tokens           of the continuation
    greedy           whether each of them is the likeliest token where it stands
    cut              whether the context lost its beginning because the pair is longer than the model's context
    """

    log_probability: float = 0.0
    tokens: int = 0
    greedy: bool = True
    cut: bool = False


def encode(tokenizer: Tokenizer, groups: Sequence[Sequence[Pair]]) -> list[list[tuple[list[int], int]]]:
    """Return for each pair its ids and the place of the continuation's first id."""
    moved = []
    for group in groups:
        for context, continuation in group:
            kept = context.rstrip()
            moved.append((kept, context[len(kept) :] + continuation) if context else ("", continuation))
    contexts = list(dict.fromkeys(context for context, _ in moved if context))
    lengths = dict(zip(contexts, map(len, tokenizer.encode_batch(contexts)), strict=True))
    wholes = tokenizer.encode_batch([context + continuation for context, continuation in moved])
    pairs = []
    for (context, continuation), ids in zip(moved, wholes, strict=True):
        # A context of spaces alone has moved to the continuation, so this pair also starts at the beginning mark.
        first = lengths.get(context, 0)
        if not continuation or first >= len(ids):
            raise DataError(f"there is nothing to score after {context[-60:]!r}: the continuation is {continuation!r}")
        before = tokenizer.beginning if first else [tokenizer.bos_id]  # the first scored token needs a token before it
        pairs.append(([*before, *ids], len(before) + first))
    found = iter(pairs)
    return [[next(found) for _ in group] for group in groups]


def targets_of(model: Model, hidden: torch.Tensor, targets: torch.Tensor) -> tuple[list[float], list[bool]]:
    """Log-probability of each target, and whether it is the likeliest id; hidden (N, d_model), targets (N,)."""
    values: list[float] = []
    greedy: list[bool] = []
    size = max(1, LOGITS // model.config.vocab_size)
    for part, wanted in zip(hidden.split(size), targets.split(size), strict=True):
        logits = model.logits(part)
        if not bool(torch.isfinite(logits).all()):
            raise ModelError(
                "the model's logits are not finite: its weights are damaged or its training diverged",
                "score an earlier checkpoint of the run",
            )
        values += (logits.gather(1, wanted[:, None])[:, 0] - logits.logsumexp(-1)).tolist()
        greedy += (logits.argmax(-1) == wanted).tolist()
    return values, greedy
