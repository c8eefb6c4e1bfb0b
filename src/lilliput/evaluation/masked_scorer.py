"""Pseudo-log-likelihood: how probable an encoder finds a continuation, each token predicted from all the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from lilliput.base.errors import ConfigError
from lilliput.decoding.inference import inference
from lilliput.evaluation.pairs import Pair, PairScore, encode, targets_of
from lilliput.model.sight import Sight

if TYPE_CHECKING:
    from lilliput.data.tokenizer import Tokenizer
    from lilliput.model.transformer import Model


@dataclass(frozen=True, slots=True)
class _Query:
    """ids with a mask where `right` stood, which is predicted at `place`; a part of pair number `pair`."""

    pair: int
    ids: tuple[int, ...]
    place: int
    right: int


def score_masked(
    model: Model,
    tokenizer: Tokenizer,
    groups: Sequence[Sequence[Pair]],
    batch_tokens: int = 16384,
    done: Callable[[int], None] = lambda groups: None,
    ahead: bool = False,
) -> list[list[PairScore]]:
    """Score every (context, continuation) of every group by the pseudo-log-likelihood of the continuation
    (arXiv:1910.14659): the sum over its tokens of log p(token | all other tokens), with the token hidden by the mask.

    The text stands between the marks of beginning and end, as in training. `greedy` is whether each token is the
    likeliest at its place. A pair longer than the model's context loses its beginning, and is marked as cut.
    `ahead`: whether the model predicts a hidden token at the position before it (objective.kind=hybrid). Raises
    ConfigError for a tokenizer without a mask token, DataError for an empty continuation, ModelError where logits are
    not finite.
    """
    if "mask" not in tokenizer.specials:
        raise ConfigError(
            "the tokenizer has no mask token, by which an encoder's predictions are asked for",
            "score a model that was trained by objective.kind=masked",
        )
    mask, end = tokenizer.specials["mask"], [tokenizer.eos_id] if tokenizer.bounded else []
    limit, scores, queries = model.config.context_length, list[PairScore](), list[_Query]()
    encoded = encode(tokenizer, groups)
    owners = [number for number, group in enumerate(encoded) for _ in group]
    waiting = Counter[int]()
    for pair, (ids, first) in enumerate(pair for group in encoded for pair in group):
        whole = [*ids, *end]
        lost = max(0, len(whole) - limit)
        for place in range(max(first, lost + ahead), len(ids)):
            hidden = [*whole[lost:place], mask, *whole[place + 1 :]]
            queries.append(_Query(pair, tuple(hidden), place - lost - ahead, whole[place]))
            waiting[owners[pair]] += 1
        scores.append(PairScore(tokens=len(ids) - first, cut=lost > 0))
    with inference(model):
        for batch in _batches(queries, batch_tokens):
            _score(model, batch, scores)
            waiting.subtract(owners[query.pair] for query in batch)
            finished = [group for group, left in waiting.items() if not left]
            for group in finished:
                del waiting[group]
            done(len(finished))
    found = iter(scores)
    return [[next(found) for _ in group] for group in groups]


def _batches(queries: Sequence[_Query], batch_tokens: int) -> Iterator[list[_Query]]:
    """Yield batches of queries of similar length."""
    batch: list[_Query] = []
    for query in sorted(queries, key=lambda query: -len(query.ids)):
        if batch and (len(batch) + 1) * len(batch[0].ids) > batch_tokens:
            yield batch
            batch = []
        batch.append(query)
    if batch:
        yield batch


def _score(model: Model, batch: Sequence[_Query], scores: list[PairScore]) -> None:
    device, width = next(model.parameters()).device, len(batch[0].ids)
    tokens = torch.tensor([[*query.ids, *[0] * (width - len(query.ids))] for query in batch], device=device)
    lengths = torch.tensor([len(query.ids) for query in batch], device=device)
    hidden = model(tokens, Sight(causal=False, lengths=lengths))
    places = torch.tensor([query.place for query in batch], device=device)
    chosen = hidden[torch.arange(len(batch), device=device), places]
    found = targets_of(model, chosen, torch.tensor([query.right for query in batch], device=device))
    for query, value, likeliest in zip(batch, *found, strict=True):
        scores[query.pair].log_probability += value
        scores[query.pair].greedy &= likeliest
