"""Best-fit packing: whole documents into rows, as closely as they fit."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Packing(NamedTuple):
    """Pieces of documents by row. Row r holds the pieces `first[r]` to `first[r + 1]`, one after the other.

    first     (rows + 1,) int64   where the pieces of each row begin
    document  (pieces,) int64     the document a piece is of
    start     (pieces,) int64     where in its document it starts
    length    (pieces,) int64     how many tokens it has
    column    (pieces,) int64     where in its row it starts
    """

    first: np.ndarray
    document: np.ndarray
    start: np.ndarray
    length: np.ndarray
    column: np.ndarray


def best_fit(lengths: np.ndarray, capacity: int) -> Packing:
    """Packs documents of `lengths` tokens into rows of `capacity` tokens by best-fit decreasing (Ding et al. 2024,
    "Fewer Truncations Improve Language Modeling"): the longest first, each into the row with the least room that is
    enough. A document longer than a row is cut into pieces that overlap by one token, which is context for the next
    piece and no target there, so that every token after a document's first is a target exactly once.
    """
    document, start, length = _cut(np.asarray(lengths, dtype=np.int64), capacity)
    order = np.argsort(-length, kind="stable")
    document, start, length = document[order], start[order], length[order]
    row, column = _place(length, capacity)
    order = np.argsort(row, kind="stable")
    rows = int(row.max()) + 1 if len(row) else 0
    first = np.searchsorted(row[order], np.arange(rows + 1))
    return Packing(first, document[order], start[order], length[order], column[order])


def _cut(lengths: np.ndarray, capacity: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(document, start, length) of the pieces of all documents."""
    stride = capacity - 1
    counts = np.maximum(-(-(lengths - 1) // stride), 1)
    document = np.repeat(np.arange(len(lengths)), counts)
    nth = np.arange(len(document)) - np.repeat(np.cumsum(counts) - counts, counts)
    start = nth * stride
    return document, start, np.minimum(capacity, lengths[document] - start)


def _place(lengths: np.ndarray, capacity: int) -> tuple[np.ndarray, np.ndarray]:
    """(row, column) of each piece. Rows with the same room are kept together, and one bit of `open_rooms` says for
    each room whether there are any: the least room that is enough is the lowest bit at or above the length."""
    row, column = np.empty(len(lengths), dtype=np.int64), np.empty(len(lengths), dtype=np.int64)
    rows_with: list[list[int]] = [[] for _ in range(capacity + 1)]
    open_rooms = rows = 0
    for piece, length in enumerate(lengths.tolist()):
        fitting = open_rooms >> length
        if fitting:
            room = length + (fitting & -fitting).bit_length() - 1
            target = rows_with[room].pop()
            if not rows_with[room]:
                open_rooms &= ~(1 << room)
        else:
            room, target, rows = capacity, rows, rows + 1
        row[piece], column[piece] = target, capacity - room
        if room > length:
            rows_with[room - length].append(target)
            open_rooms |= 1 << (room - length)
    return row, column
