"""MinHash: signatures whose equal places estimate how alike two texts are, and clusters of texts that are alike.

A text is the set of its sequences of words. A signature has 8 minima of one byte for each band. One hash for each
sequence fills all minima (one permutation hashing, Li et al. 2012; empty places are filled from others by hashes, as
Shrivastava 2017 does), so that a long text costs as much for 1,000 minima as for one.
"""

from __future__ import annotations

import numpy as np

from lilliput.data.steps.measures import Texts
from lilliput.data.steps.words import spread

ROWS = 8
"""Minima of a band. The bytes of a band are one uint64, so that bands are compared at once."""
EMPTY = np.iinfo(np.uint64).max


def signatures(texts: Texts, words: int, bands: int) -> np.ndarray:
    """(texts, bands) uint64: of each text, 8 minima a band, of the hashes of its sequences of so many words. A text
    with fewer words is one sequence. A text without words has zeros, which are like nothing."""
    minima = _minima(texts, words, ROWS * bands)
    _fill(minima)
    found = spread(minima).astype(np.uint8)  # the lowest byte of a minimum, spread again: minima are small numbers
    found[texts.counts == 0] = 0
    return np.ascontiguousarray(found).view(np.uint64)


def _minima(texts: Texts, words: int, count: int) -> np.ndarray:
    """(texts, count) uint64: the least hash of the sequences that fall to each place; EMPTY where none does."""
    hashes, owners = texts.sequences(words)
    places = owners * count + (hashes % np.uint64(count)).astype(np.int64)
    found = np.full(len(texts.texts) * count, EMPTY, np.uint64)
    np.minimum.at(found, places, hashes // np.uint64(count))
    return found.reshape(len(texts.texts), count)


def _fill(minima: np.ndarray) -> None:
    """Give each empty place of a row the value of a full place, which a hash of the empty place chooses. Two equal rows
    are filled alike."""
    count = minima.shape[1]
    full = minima != EMPTY
    left = np.argwhere(~full & full.any(1, keepdims=True))
    attempt = 0
    while len(left):
        attempt += 1
        chosen = spread((left[:, 1] + count * attempt).astype(np.uint64)) % np.uint64(count)
        chosen = chosen.astype(np.int64)
        hit = full[left[:, 0], chosen]
        minima[left[hit, 0], left[hit, 1]] = minima[left[hit, 0], chosen[hit]]
        left = left[~hit]


def clusters(bands: np.ndarray, similarity: float) -> np.ndarray:
    """(texts, bands) uint64 -> (texts,) int64: the first text of the cluster of each text. Texts with an equal band are
    compared with the first text that has it, and are joined where the share of equal minima is at least `similarity`
    (less the share that is equal by chance, 1 in 256)."""
    parents = np.arange(len(bands))
    minima = bands.view(np.uint8).reshape(len(bands), -1)
    for band in range(bands.shape[1]):
        order = np.argsort(bands[:, band], kind="stable")
        keys = bands[order, band]
        starts = np.concatenate([[True], keys[1:] != keys[:-1]]) if len(keys) else np.zeros(0, bool)
        first = order[np.maximum.accumulate(np.where(starts, np.arange(len(keys)), 0))]
        pairs = np.flatnonzero((first != order) & (keys != 0))
        left, right = first[pairs], order[pairs]
        alike = (minima[left] == minima[right]).mean(1)
        chosen = (alike - 1 / 256) / (1 - 1 / 256) >= similarity
        for one, other in zip(left[chosen].tolist(), right[chosen].tolist(), strict=True):
            _join(parents, one, other)
    return np.array([_root(parents, text) for text in range(len(parents))], np.int64)


def _root(parents: np.ndarray, text: int) -> int:
    while parents[text] != text:
        parents[text] = parents[parents[text]]
        text = int(parents[text])
    return text


def _join(parents: np.ndarray, one: int, other: int) -> None:
    first, second = sorted((_root(parents, one), _root(parents, other)))
    parents[second] = first
