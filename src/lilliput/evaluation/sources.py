"""Bits per byte of several texts, a row a source and in total, beside controls."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from lilliput.evaluation.bits_per_byte import FixedSet, Score, bits_per_byte, fixed_set, share, whole
from lilliput.evaluation.ngram import NAMES, KneserNey, packed

if TYPE_CHECKING:
    from lilliput.data.dataset import Split
    from lilliput.model.transformer import Model


MOST_SOURCES = 20
"""The most sources in a table. A folder of a thousand files, for example, is one text."""


@dataclass(frozen=True, slots=True)
class SourceScores:
    """One model's score on each source and on all of them together."""

    by_source: dict[str, Score]
    total: Score


def score_sources(model: Model, sources: Mapping[str, FixedSet], stride: int | None = None) -> SourceScores:
    """Scores as `bits_per_byte` measures them; the total is over all targets and all bytes, not a mean of the rows."""
    scores = {name: bits_per_byte(model, texts, stride=stride) for name, texts in sources.items()}
    return SourceScores(scores, total(list(scores.values())))


def total(scores: Sequence[Score]) -> Score:
    """Scores of several sets as the score of all of them together."""
    if len(scores) == 1:
        return scores[0]
    tokens, size = sum(score.tokens for score in scores), sum(score.bytes for score in scores)
    nats = sum(score.nats_per_token * score.tokens for score in scores)
    each = nats / tokens
    return replace(
        scores[0],
        bits_per_byte=nats / math.log(2) / size,
        nats_per_token=each,
        perplexity=math.exp(each) if each < 700 else math.inf,
        tokens=tokens,
        bytes=size,
        documents=sum(score.documents for score in scores),
        seconds=sum(score.seconds for score in scores),
    )


def ngram_sources(
    seen: np.ndarray, sources: Mapping[str, FixedSet], vocab_size: int, orders: Sequence[int]
) -> dict[str, dict[str, float]]:
    """{n-gram model: {source: bits per byte, "total": ...}} of Kneser-Ney models counted on `seen`, the packed n-grams
    of the training tokens (ngram.training_ngrams), on the targets that `score_sources` scores."""
    wanted = {name: packed(texts.documents, max(orders), vocab_size, texts.learned) for name, texts in sources.items()}
    rows: dict[str, dict[str, float]] = {}
    for order in orders:
        model = KneserNey(seen, order, vocab_size)
        bits = {name: float(-np.log2(model.probabilities(grams)).sum()) for name, grams in wanted.items()}
        size = sum(texts.text_bytes for texts in sources.values())
        rows[NAMES.get(order, f"{order}-gram")] = {
            **{name: value / sources[name].text_bytes for name, value in bits.items()},
            "total": sum(bits.values()) / size,
        }
    return rows


def parts(
    split: Split, token_bytes: np.ndarray, source_of: Callable[[str], str], max_tokens: int | None = None
) -> dict[str, FixedSet]:
    """Return the split by source, where `source_of` returns a document's source from its id. There is a set for each
    source if there are at most MOST_SOURCES sources, else one set of all documents. With `max_tokens`, the sets are one
    fixed part of the split. A source's bytes are its tokens' share of the split's bytes; for a byte-level tokenizer
    they are exactly the source's own bytes."""
    owners = [source_of(split.document_id(i)) for i in range(split.documents)]
    names = sorted(set(owners))
    if max_tokens is not None or not 1 < len(names) <= MOST_SOURCES:
        return {"validation": fixed_set(split, token_bytes, max_tokens)}
    numbers = {name: [i for i, owner in enumerate(owners) if owner == name] for name in names}
    sets = {name: whole(split, chosen, 0) for name, chosen in numbers.items()}
    counted = sum(texts.bytes_in(token_bytes, of_all=True) for texts in sets.values())
    return {
        name: replace(texts, text_bytes=share(split.text_bytes, texts.bytes_in(token_bytes), counted))
        for name, texts in sets.items()
    }
