"""Encoded and Rows: a document as data preparation stores it, and the rows that the loader gives to an objective."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True, slots=True)
class Encoded:
    """One document as token ids (an array, or a list of a few), bounds (beginning and end of story) included. `learn`
    lists the spans [start, stop) of ids that are targets; None means all of them but an opening BOS."""

    ids: np.ndarray | list[int]
    learn: list[tuple[int, int]] | None = None


@dataclass(frozen=True, slots=True)
class Rows:
    """R rows of T + 1 tokens, so that an objective can shift them.

    tokens     (R, T + 1) int64    token ids; the padding id where a row is not full
    learn      (R, T + 1) float32  1 where the token may be a target, 0 on padding, beginnings and prompts
    segments   (R, T + 1) int64    0, 1, 2 ... per document in a row, -1 on padding; None for contiguous windows
    documents  R tuples of the numbers in the split of the documents in a row, in order
    """

    tokens: np.ndarray
    learn: np.ndarray
    segments: np.ndarray | None
    documents: list[tuple[int, ...]] = field(default_factory=list)
