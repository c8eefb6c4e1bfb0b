"""Best-fit packing: whole documents into rows, as closely as they fit."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Packing(NamedTuple):
    """Pieces of documents by row. Row r holds the pieces `first[r]` to `first[r + 1]`, one after the other.

    first     (rows + 1,) int64   the first piece of each row, then the number of pieces
    document  (pieces,) int64     the document of each piece
    start     (pieces,) int64     the token of the document at which the piece starts
    length    (pieces,) int64     the tokens of the piece
    column    (pieces,) int64     the column of the row at which the piece starts
    """

    first: np.ndarray
    document: np.ndarray
    start: np.ndarray
    length: np.ndarray
    column: np.ndarray


def best_fit(lengths: np.ndarray, capacity: int) -> Packing:
    """Pack documents of `lengths` tokens, (documents,) integers, into rows of `capacity` tokens by best-fit decreasing
    (Ding et al. 2024, "Fewer Truncations Improve Language Modeling"). The longest document comes first, and each goes
    into the row with the least room that is enough.

    A document longer than a row is cut into pieces that overlap by one token. The repeated token is context for the
    next piece and no target there, so that every token after a document's first is a target exactly once.

    Example: documents of 3, 5 and 2 tokens in rows of 5 give two rows. Row 0 holds document 1, and row 1 holds document
    0 at column 0 and document 2 at column 3.
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
    """Return (document, start, length) of the pieces of all documents.

    Example: a document of 9 tokens in rows of 4 has pieces at 0, 3 and 6 with 4, 4 and 3 tokens."""
    # Pieces overlap by one token, so a further piece starts every capacity - 1 tokens. A document has length - 1
    # targets, and a piece holds up to capacity - 1 of them: ceil((9 - 1) / 3) = 3 pieces. -(-a // b) rounds up.
    stride = capacity - 1
    counts = np.maximum(-(-(lengths - 1) // stride), 1)
    document = np.repeat(np.arange(len(lengths)), counts)
    # The number of each piece within its document: counts 3 and 1 give document = 0 0 0 1 and nth = 0 1 2 0.
    nth = np.arange(len(document)) - np.repeat(np.cumsum(counts) - counts, counts)
    start = nth * stride
    return document, start, np.minimum(capacity, lengths[document] - start)


def _place(lengths: np.ndarray, capacity: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (row, column) of each piece, for `lengths` in falling order.

    `rows_with[room]` lists the rows with that many free tokens. Bit `room` of `open_rooms` is 1 where that list is not
    empty, so the least room that is enough is the lowest 1 bit at or above the piece's length. Example: with rooms 2
    and 5 open, open_rooms is 0b100100. For a piece of 3 tokens the shift by 3 gives 0b100, whose lowest bit is number
    2, and the room is 3 + 2 = 5."""
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
