"""n-gram baselines: interpolated modified Kneser-Ney, counted on the training tokens, in bits per byte."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lilliput.base import seeds
from lilliput.base.errors import ConfigError, DataError

if TYPE_CHECKING:
    from lilliput.data.dataset import Split
    from lilliput.evaluation.bits_per_byte import FixedSet

NAMES = {1: "unigram", 2: "bigram", 3: "trigram"}
CHUNK_TOKENS = 1 << 20
Marked = tuple[np.ndarray, np.ndarray | None]
"""The ids of a document, and for each id whether it is learned (None: all ids are learned)."""


@dataclass(frozen=True, slots=True)
class Level:
    """The tables of one order: the share of the probability for each seen n-gram, and the probability that its context
    leaves to the next lower order.

    grams     (G,) int64 packed, sorted    shares   (G,) discounted count / count of the context
    contexts  (C,) int64 packed, sorted    backoff  (C,) probability left for the next lower order
    """

    grams: np.ndarray
    shares: np.ndarray
    contexts: np.ndarray
    backoff: np.ndarray


class KneserNey:
    """Interpolated modified Kneser-Ney of order n (Chen and Goodman 1999), the smoothing of KenLM (Heafield et
    al. 2013):

        P_k(w | h) = max(0, c(hw) - D(c(hw))) / c(h) + backoff(h) P_{k-1}(w | h without its first token)

    where c is a count at order n and, below it, the number of different tokens seen before hw; P_0 is uniform
    over the vocabulary. Each order has discounts for counts of 1, 2 and 3 or more, estimated from counts of
    counts, or 0.5, 1 and 1.5 where there are too few counts for that.
    """

    def __init__(self, grams: np.ndarray, order: int, vocab_size: int):
        """`grams` (N,) int64 are the packed n-grams of the training text, of this order or a higher order."""
        if not len(grams):
            raise DataError("no training token to count n-grams on")
        self.vocab_size, self._bits = vocab_size, _bits(vocab_size)
        self._levels: list[Level] = []
        for k in range(order, 0, -1):
            grams, counts = _unique(grams & self._mask(k))
            self._levels.insert(0, _level(grams, counts, self._bits))

    def _mask(self, k: int) -> int:
        """Return the mask of the bits that hold the last k ids of a packed n-gram."""
        return (1 << (k * self._bits)) - 1

    def probabilities(self, grams: np.ndarray) -> np.ndarray:
        """Return P(last id | the ids before it), (N,) float64, for packed n-grams of this order or a higher order."""
        # Each different n-gram is looked up once, in sorted order, so that the searches stay in the processor's cache.
        different, inverse = np.unique(grams & self._mask(len(self._levels)), return_inverse=True)
        probs = np.full(len(different), 1 / self.vocab_size)
        for k, level in enumerate(self._levels, start=1):
            shorter = different & self._mask(k)
            probs *= _look_up(level.contexts, level.backoff, shorter >> self._bits, missing=1.0)
            probs += _look_up(level.grams, level.shares, shorter, missing=0.0)
        return probs[inverse]


def baselines(
    train: Split,
    validation: FixedSet,
    vocab_size: int,
    orders: Sequence[int] = (1, 2, 3),
    max_tokens: int = 20_000_000,
    seed: int = 0,
) -> dict[str, float]:
    """Bits per byte of Kneser-Ney models on exactly the targets that `bits_per_byte` scores: {"unigram": ...,
    "bigram": ..., "trigram": ...}, and "4-gram", "5-gram" where `orders` asks for them.

    The models are counted on the training split, or on documents drawn from it by `seed` until `max_tokens` are
    reached. Raises ConfigError for an order that cannot be counted, and DataError where no token can be counted or
    scored.
    """
    if not orders:
        return {}
    if not validation.targets or not validation.text_bytes:
        raise DataError(f"nothing to score: {len(validation.documents)} documents hold {validation.targets} targets")
    seen = training_ngrams(train, max(orders), vocab_size, max_tokens, seed)
    wanted = packed(validation.documents, max(orders), vocab_size, validation.learned)
    scores: dict[str, float] = {}
    for order in orders:
        bits = -np.log2(KneserNey(seen, order, vocab_size).probabilities(wanted)).sum()
        scores[NAMES.get(order, f"{order}-gram")] = float(bits) / validation.text_bytes
    return scores


def training_ngrams(
    train: Split, order: int, vocab_size: int, max_tokens: int = 20_000_000, seed: int = 0
) -> np.ndarray:
    """Return the packed n-grams of the training split that `baselines` counts, which are the n-grams that end in a
    learned token. Raises ConfigError as `packed` does."""
    return _packed(_training_documents(train, max_tokens, seed), order, vocab_size)


def _training_documents(train: Split, max_tokens: int, seed: int) -> Iterator[Marked]:
    if train.tokens <= max_tokens:
        yield from ((train.document(i), train.document_learn(i)) for i in range(train.documents))
        return
    left = max_tokens
    for i in seeds.generator(seed, "n-gram").permutation(train.documents):
        ids, mask = train.document(int(i))[:left], train.document_learn(int(i))
        yield ids, None if mask is None else mask[: len(ids)]
        left -= len(ids)
        if left == 0:
            return


def packed(
    documents: Iterable[np.ndarray], order: int, vocab_size: int, learned: Iterable[np.ndarray] | None = None
) -> np.ndarray:
    """Return the n-gram that ends in each target of `documents`, (N,) int64, with its ids packed side by side. A
    document is read as its first id repeated n - 1 times and then its targets, so that no context crosses a document.
    The targets are all ids except a document's first id. Where `learned` has a bool for each id of each document, the
    targets are only the ids that it marks.

    Raises ConfigError for an order outside 1 to 5, or where n ids do not fit into 63 bits."""
    if learned is None:
        return _packed(((ids, None) for ids in documents), order, vocab_size)
    return _packed(zip(documents, learned, strict=True), order, vocab_size)


def _packed(documents: Iterable[Marked], order: int, vocab_size: int) -> np.ndarray:
    bits = _bits(vocab_size)
    if not 1 <= order <= 5 or order * bits > 63:
        raise ConfigError(f"no {order}-gram model over {vocab_size} ids: orders go from 1 to {min(5, 63 // bits)}")
    parts = [_pack_chunk(chunk, order, bits) for chunk in _chunks(documents)]
    return np.concatenate([np.empty(0, dtype=np.int64), *parts])


def _chunks(documents: Iterable[Marked]) -> Iterator[list[Marked]]:
    """Yield the documents that hold a target, about CHUNK_TOKENS ids at a time."""
    chunk: list[Marked] = []
    size = 0
    for ids, mask in documents:
        if len(ids) > 1:
            chunk.append((ids, mask))
            size += len(ids)
        if size >= CHUNK_TOKENS:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _pack_chunk(documents: list[Marked], order: int, bits: int) -> np.ndarray:
    lengths = np.array([len(ids) for ids, _ in documents])
    ids = np.concatenate([ids for ids, _ in documents]).astype(np.int64)
    first = np.repeat(np.cumsum(lengths) - lengths, lengths)
    at = np.arange(len(ids))
    targets = at > first
    if any(mask is not None for _, mask in documents):
        targets &= np.concatenate([np.ones(len(ids), bool) if mask is None else mask for ids, mask in documents])
    at, first = at[targets], first[targets]
    code = ids[at]
    for back in range(1, order):
        code |= ids[np.maximum(at - back, first)] << (back * bits)
    return code


def _bits(vocab_size: int) -> int:
    """Return the number of bits of an id in a packed n-gram. The newest id has the lowest bits. So sorting groups the
    n-grams by context, the high bits alone are the context, and the low bits alone are the shorter n-gram. Example with
    4 bits an id: the trigram (1, 2, 3) is 0x123, its context is 0x12, and its bigram is 0x23."""
    return max(1, (vocab_size - 1).bit_length())


def _unique(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the different values in sorted order, and the count of each. Sorts `codes` in place."""
    codes.sort()
    first = np.flatnonzero(np.concatenate([[True], codes[1:] != codes[:-1]]))
    return codes[first], np.diff(first, append=len(codes))


def _level(grams: np.ndarray, counts: np.ndarray, bits: int) -> Level:
    discount = _discounts(counts)[np.minimum(counts, 3)]
    contexts, sizes = _unique(grams >> bits)
    starts = np.cumsum(sizes) - sizes
    totals = np.add.reduceat(counts, starts)
    backoff = np.add.reduceat(discount, starts) / totals
    return Level(grams, (counts - discount) / np.repeat(totals, sizes), contexts, backoff)


def _discounts(counts: np.ndarray) -> np.ndarray:
    """Return the discounts [0, D1, D2, D3+] for counts of 0, 1, 2, and 3 or more (Chen and Goodman 1999)."""
    n1, n2, n3, n4 = (int((counts == c).sum()) for c in (1, 2, 3, 4))
    fallback = np.array([0, 0.5, 1.0, 1.5])
    if not (n1 and n2 and n3):
        return fallback
    y = n1 / (n1 + 2 * n2)
    estimate = np.array([0, 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3])
    return estimate if (estimate >= 0).all() else fallback


def _look_up(keys: np.ndarray, values: np.ndarray, wanted: np.ndarray, missing: float) -> np.ndarray:
    """Return, for each wanted key, values[i] where keys[i] is that key, else `missing`. `keys` are sorted."""
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[at] == wanted, values[at], missing)
