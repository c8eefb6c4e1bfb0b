"""The log-probability of continuations under a model: a batched scorer of (context, continuation) pairs that reads each
shared context once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from lilliput.decoding.cache import KVCache
from lilliput.decoding.inference import inference
from lilliput.evaluation.masked_scorer import score_masked
from lilliput.evaluation.pairs import Pair, PairScore, encode, targets_of

if TYPE_CHECKING:
    from lilliput.data.tokenizer import Tokenizer
    from lilliput.model.transformer import Model


@dataclass(frozen=True, slots=True)
class _Window:
    """ids[:-1] are read, and the ids from `first` on are scored, as a part of pair number `pair`."""

    pair: int
    ids: tuple[int, ...]
    first: int


@dataclass(slots=True)
class _Group:
    """Windows with the same beginning. All of them read `shared` ids before they differ, or reach their first
    target."""

    windows: list[_Window]
    shared: int = 0
    rows: list[tuple[int, ...]] = field(default_factory=list)


def score_pairs(
    model: Model,
    tokenizer: Tokenizer,
    groups: Sequence[Sequence[Pair]],
    batch_tokens: int = 16384,
    done: Callable[[int], None] = lambda groups: None,
) -> list[list[PairScore]]:
    """Score every (context, continuation) of every group. A group holds the choices of one question. The common
    beginning of its pairs is read once and kept in a key-value cache.

    Text is cut into tokens as in lm-evaluation-harness. Context and continuation are encoded together. With n tokens
    for the context alone, the tokens of the continuation are the tokens after the first n. Spaces at a context's end
    belong to the continuation. An empty context is the beginning-of-story mark. A pair longer than the model's context
    loses its beginning. A continuation longer than the context is scored half a context at a time. Both are marked as
    cut.

    An encoder predicts no next token: its scores are pseudo-log-likelihoods (`score_masked`).

    `batch_tokens` bounds the positions of a batch; the scores do not depend on it. `done(n)` is called when n more
    groups are scored. Raises DataError for an empty continuation, ModelError where the model's logits are not finite.
    """
    if not model.config.causal:
        return score_masked(model, tokenizer, groups, batch_tokens, done)
    encoded = encode(tokenizer, groups)
    flat = [pair for group in encoded for pair in group]
    limit = model.config.context_length
    scores = [PairScore(tokens=len(ids) - first, cut=len(ids) - 1 > limit) for ids, first in flat]
    jobs, number = [], 0
    for group in encoded:
        windows = [window for i, pair in enumerate(group) for window in _windows(number + i, *pair, limit)]
        number += len(group)
        jobs.append(_grouped(windows, shareable=len(windows) == len(group)))
    with inference(model):
        for batch in _batches(jobs, batch_tokens):
            _score(model, batch, scores)
            done(len(batch))
    found = iter(scores)
    return [[next(found) for _ in group] for group in groups]


def _windows(pair: int, ids: list[int], first: int, limit: int) -> Iterator[_Window]:
    """Return one window that ends with the pair, or several windows where the continuation alone is longer than the
    context."""
    step = limit if len(ids) - first <= limit else max(1, limit // 2)
    for start in range(first, len(ids), step):
        stop = min(start + step, len(ids))
        begin = max(0, stop - limit - 1)
        yield _Window(pair, tuple(ids[begin:stop]), start - begin)


def _grouped(windows: list[_Window], shareable: bool) -> _Group:
    group = _Group(windows)
    if shareable and len(windows) > 1:
        most = min(window.first for window in windows) - 1
        heads = [window.ids[:most] for window in windows]
        low, high = min(heads), max(heads)
        group.shared = next((i for i, (a, b) in enumerate(zip(low, high, strict=True)) if a != b), most)
    group.rows = list(dict.fromkeys(window.ids[group.shared : -1] for window in windows))
    if len(group.rows) == 1:
        # Choices of one token differ only in their targets, so one row gives the scores of all choices.
        group.rows, group.shared = [windows[0].ids[:-1]], 0
    return group


def _batches(groups: list[_Group], batch_tokens: int) -> Iterator[list[_Group]]:
    """Yield batches of groups of similar size, the largest first. Groups that share a beginning are apart from groups
    that do not."""
    for shares in (True, False):
        left = [group for group in groups if bool(group.shared) == shares]
        left.sort(key=lambda group: (-group.shared, -max(map(len, group.rows))))
        batch: list[_Group] = []
        rows, width, shared = 0, 0, 0
        for group in left:
            more = rows + len(group.rows), max(width, *map(len, group.rows)), max(shared, group.shared)
            if batch and more[0] * (more[1] + more[2]) > batch_tokens:
                yield batch
                batch, more = [], (len(group.rows), max(map(len, group.rows)), group.shared)
            batch.append(group)
            rows, width, shared = more
        if batch:
            yield batch


def _score(model: Model, batch: list[_Group], scores: list[PairScore]) -> None:
    """Add the scores of the windows of `batch` to their pairs' scores."""
    rows = [row for group in batch for row in group.rows]
    device = next(model.parameters()).device
    tokens = torch.tensor(_padded(rows), device=device)
    hidden = model(tokens, cache=_read_shared(model, batch, tokens.shape[1], device))
    places: dict[tuple[int, tuple[int, ...]], int] = {}
    for g, group in enumerate(batch):
        for row in group.rows:
            places[g, row] = len(places)
    where_row, where_column, targets, owners = [], [], [], []
    for g, group in enumerate(batch):
        for window in group.windows:
            row = places[g, window.ids[group.shared : -1]]
            for at in range(window.first, len(window.ids)):
                where_row.append(row)
                where_column.append(at - 1 - group.shared)
                targets.append(window.ids[at])
                owners.append(window.pair)
    chosen = hidden[torch.tensor(where_row, device=device), torch.tensor(where_column, device=device)]
    log_probabilities, greedy = targets_of(model, chosen, torch.tensor(targets, device=device))
    for owner, value, likeliest in zip(owners, log_probabilities, greedy, strict=True):
        scores[owner].log_probability += value
        scores[owner].greedy &= likeliest


def _read_shared(model: Model, batch: list[_Group], ahead: int, device: torch.device) -> KVCache | None:
    """Return a cache that holds each group's shared ids, in each row of the group; None where no ids are shared."""
    if not batch[0].shared:
        return None
    prefixes = [group.windows[0].ids[: group.shared] for group in batch]
    rows = [i for i, group in enumerate(batch) for _ in group.rows]
    capacity = max(map(len, prefixes)) + ahead
    cache = KVCache(model.config, len(batch), capacity, device, _dtype(model, device), room=len(rows))
    model(torch.tensor(_padded(prefixes), device=device), cache=cache)
    cache.advance([len(prefix) for prefix in prefixes])
    cache.select(rows)
    return cache


def _dtype(model: Model, device: torch.device) -> torch.dtype:
    """Return the type in which keys and values are computed."""
    if torch.is_autocast_enabled(device.type):
        return torch.get_autocast_dtype(device.type)
    return next(model.parameters()).dtype


def _padded(rows: Sequence[Sequence[int]]) -> list[list[int]]:
    """Return rows of one length. No target sees the padding at their ends."""
    width = max(map(len, rows))
    return [[*row, *[0] * (width - len(row))] for row in rows]
