"""Encoded and Rows: a document as data preparation stores it, and the rows that the loader gives to an objective."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class Encoded:
    """One sequence of a document as token ids (an array, or a list of a few), bounds (beginning and end) included.

    learn    the spans [start, stop) of ids that are targets; None: all ids but an opening BOS
    columns  further JSON values that an objective needs beside the tokens, such as a label or a score
    """

    ids: np.ndarray | list[int]
    learn: list[tuple[int, int]] | None = None
    columns: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Rows:
    """R rows of T + 1 tokens, so that an objective can shift them. A row that is one document of S sequences is
    (S, T + 1): the shapes below are then (R, S, T + 1).

    tokens     (R, T + 1) int64    token ids; the padding id where a row is not full
    learn      (R, T + 1) float32  1 where the token may be a target, 0 on padding, beginnings and prompts
    segments   (R, T + 1) int64    0, 1, 2 ... per document in a row, -1 on padding; None for contiguous windows
    documents  R tuples of the numbers in the split of the sequences in a row, in order
    columns    the columns of each of these sequences; empty where the split has none
    """

    tokens: np.ndarray
    learn: np.ndarray
    segments: np.ndarray | None
    documents: list[tuple[int, ...]] = field(default_factory=list)
    columns: list[tuple[dict[str, Any], ...]] = field(default_factory=list)


def text_bytes(sequences: Sequence[Encoded], token_bytes: np.ndarray) -> int:
    """Return the UTF-8 bytes of the text that the ids of all sequences stand for; `token_bytes` (V,) are the bytes of
    each id."""
    return sum(int(token_bytes[np.asarray(sequence.ids, dtype=np.int64)].sum()) for sequence in sequences)
