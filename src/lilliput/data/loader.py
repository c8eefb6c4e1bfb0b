"""Loader: rows of tokens in an order that depends on (seed, epoch, index) and on nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np

from lilliput.base.errors import DataError
from lilliput.base.seeds import generator
from lilliput.data.fitting import Fit, Reserved, fit
from lilliput.data.packing import Packing, best_fit
from lilliput.data.rows import Rows
from lilliput.data.split import Split

PADDED = 2048
"""The longest context whose rows are padded where the whole split does not fill a row. Longer rows would be mostly
padding."""


class Loader:
    """The endless stream of a split's rows. Each epoch is a new permutation of all rows. The loader holds no state:
    `take` is a function of the position.

    contiguous  a row is a window of `context_length` + 1 tokens of all documents end to end, closed to a ring; windows
                follow each other with one token in common, from a start that each epoch draws anew, so that an epoch
                has every token as a target once (but for less than one row at the ring's end)
    aligned     a row begins where a document does, so that the document's beginning is in sight, and continues with the
                next documents; the next row begins with the first document that did not fit whole. A document longer
                than a row continues in the next row. Tokens that are cut off at a row's end are targets once more
    best_fit    a row holds whole documents (see packing.best_fit) that see only themselves, then padding; a document
                longer than a row continues in another one after a repeated token
    documents   a row is one document: its sequences one under the other, each from its beginning, then padding. All
                documents have the same number of sequences

    In best_fit rows of examples, and in rows of documents, `too_long` decides on examples that are longer than a row
    (see fitting.fit); `fit` holds their numbers. `reserved` tokens of the context stay free behind each document.

    `learn` is 0 on padding, on a document's first token if it is `bos_id`, on tokens that the objective leaves out, and
    on the first token of a segment, which has no token before it. Raises DataError when the split is smaller than a
    row, except for padded rows of a short context."""

    def __init__(
        self,
        split: Split,
        context_length: int,
        seed: int,
        packing: str = "contiguous",
        bos_id: int = 0,
        pad_id: int = 0,
        too_long: str = "refuse",
        reserved: Reserved | None = None,
    ):
        self.split, self.context_length, self.seed = split, context_length, seed
        self.packing, self.bos_id, self.pad_id = packing, bos_id, pad_id
        self.fit: Fit | None = None
        if packing == "documents":
            _check_documents(split)
            self.fit = fit(split, context_length + 1, too_long, split.sequences, reserved)
        elif packing == "best_fit" and split.has_examples:
            self.fit = fit(split, context_length + 1, too_long)
        elif split.tokens < context_length + 1 and not (packing == "best_fit" and context_length <= PADDED):
            raise DataError(
                f"the context of {context_length:,} tokens is longer than the whole {split.name} split, "
                f"which has {split.tokens:,} tokens in {split.documents:,} documents",
                f"give more text, or a shorter context: model.context_length={_below(split.tokens)}",
            )
        self._packed = self._pack() if packing == "best_fit" else None
        self._begins = _aligned(split.starts, split.ends, context_length) if packing == "aligned" else None
        self._epochs: dict[int, tuple[int, np.ndarray]] = {}

    def _pack(self) -> Packing:
        capacity = self.context_length + 1
        if self.fit is None:
            return best_fit(self.split.ends - self.split.starts, capacity)
        packed = best_fit(self.fit.lengths, capacity)
        return packed._replace(document=self.fit.numbers[packed.document])

    @property
    def rows_per_epoch(self) -> int:
        """Return the number of rows in one pass over the split."""
        if self._packed is not None:
            return len(self._packed.first) - 1
        if self._begins is not None:
            return len(self._begins)
        if self.packing == "documents":
            assert self.fit is not None
            return len(self.fit.numbers) // self.split.sequences
        return self.split.tokens // self.context_length

    @property
    def row_tokens(self) -> int:
        """Number of positions of a row, over all its sequences."""
        return self.context_length * (self.split.sequences if self.packing == "documents" else 1)

    def take(self, position: int, count: int) -> Rows:
        """Return rows `position` to `position + count` of the stream. Their arrays are (count, context_length + 1)."""
        # The rows may span epochs: with 10 rows an epoch, rows 8 to 12 are rows 8, 9 of epoch 0 and 0, 1 of epoch 1.
        wanted = np.arange(position, position + count)
        epochs = wanted // self.rows_per_epoch
        offsets, numbers = np.empty(count, dtype=np.int64), np.empty(count, dtype=np.int64)
        for epoch in np.unique(epochs).tolist():
            offset, order = self._epoch(epoch)
            inside = epochs == epoch
            offsets[inside] = offset
            numbers[inside] = order[wanted[inside] % self.rows_per_epoch]
        if self._packed is not None:
            return self._packed_rows(numbers)
        if self.packing == "documents":
            return self._document_rows(numbers)
        if self._begins is not None:
            return self._windows(self._begins[numbers])
        return self._windows((offsets + numbers * self.context_length) % self.split.tokens)

    def document_ids(self, rows: Rows) -> list[str]:
        """Return the ids of the documents in `rows`, each once, in order."""
        numbers = dict.fromkeys(number for row in rows.documents for number in row)
        return list(dict.fromkeys(self.split.document_id(number) for number in numbers))

    def _epoch(self, epoch: int) -> tuple[int, np.ndarray]:
        """Return (start of the first window, order of the rows) of an epoch. The last two epochs are kept, because rows
        are taken in turn and a batch may span two epochs."""
        known = self._epochs.get(epoch)
        if known is None:
            offset = int(generator(self.seed, "offset", epoch).integers(self.split.tokens))
            order = generator(self.seed, "shuffle", epoch).permutation(self.rows_per_epoch)
            known = offset, order
            self._epochs = {**dict(list(self._epochs.items())[-1:]), epoch: known}
        return known

    def _windows(self, begin: np.ndarray) -> Rows:
        """Return the rows that begin at the places `begin` of the ring, (R,) int64."""
        # Example: a ring of 10 tokens with documents that end at 4 and 10, and context_length 3. The window at 8 has
        # the positions 8, 9, 0, 1: the end of document 1, then the beginning of document 0.
        size, length, split = self.split.tokens, self.context_length + 1, self.split
        positions = (begin[:, None] + np.arange(length)) % size
        tokens = split.stream[positions]
        learn = np.ones(tokens.shape, np.float32) if split.learn is None else split.learn[positions].astype(np.float32)
        # Document numbers go on past the ring's end, so that the documents of a window are always a range low..high.
        # In the example document 0 after the end has the number 2, and the window's range is 1..2.
        last = begin + self.context_length
        low = np.searchsorted(split.ends, begin, side="right")
        high = np.searchsorted(split.ends, last % size, side="right") + split.documents * (last // size)
        counts = high - low + 1
        row = np.repeat(np.arange(len(begin)), counts)
        document = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts) + low[row]
        # The column at which each of these documents opens; negative where it opened before the window. In the example
        # document 2 opens at column 0 + 10 - 8 = 2.
        opening = split.starts[document % split.documents] + size * (document // split.documents) - begin[row]
        row, opening = row[opening >= 0], opening[opening >= 0]
        bounds = tokens[row, opening] == self.bos_id
        learn[row[bounds], opening[bounds]] = 0
        spans = zip(low.tolist(), high.tolist(), strict=True)
        documents = [tuple(number % split.documents for number in range(first, stop + 1)) for first, stop in spans]
        return Rows(tokens, learn, None, documents, self._columns(documents))

    def _packed_rows(self, numbers: np.ndarray) -> Rows:
        """Return the packed rows with these numbers, (R,) int64."""
        packed, split, length = self._packed, self.split, self.context_length + 1
        assert packed is not None
        # One entry a piece: its row among the R rows, and its number within the row. With 2 and 1 pieces in the rows,
        # row = 0 0 1 and nth = 0 1 0.
        counts = packed.first[numbers + 1] - packed.first[numbers]
        row = np.repeat(np.arange(len(numbers)), counts)
        nth = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
        piece = packed.first[numbers][row] + nth
        # One entry a token: `target` is its place in the flattened rows, `origin` its place in the split's stream, and
        # `inside` its place in its piece. Pieces of 3 and 2 tokens have inside = 0 1 2 0 1.
        sizes = packed.length[piece]
        inside = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        target = np.repeat(row * length + packed.column[piece], sizes) + inside
        origin = np.repeat(split.starts[packed.document[piece]] + packed.start[piece], sizes) + inside
        shape = (len(numbers), length)
        tokens = np.full(shape, self.pad_id, dtype=np.int64)
        segments = np.full(shape, -1, dtype=np.int64)
        learn = np.zeros(shape, dtype=np.float32)
        tokens.ravel()[target] = split.stream[origin]
        segments.ravel()[target] = np.repeat(nth, sizes)
        # The first token of a piece has no token before it in the segment, so it is no target.
        learn.ravel()[target] = (inside > 0) if split.learn is None else split.learn[origin] * (inside > 0)
        documents = [tuple(part.tolist()) for part in np.split(packed.document[piece], np.cumsum(counts)[:-1])]
        return Rows(tokens, learn, segments, documents, self._columns(documents))

    def _document_rows(self, numbers: np.ndarray) -> Rows:
        split, length, count, kept = self.split, self.context_length + 1, self.split.sequences, self.fit
        assert kept is not None
        places = numbers[:, None] * count + np.arange(count)
        sequences, sizes = kept.numbers[places], kept.lengths[places]
        starts = split.starts[sequences]
        inside = np.arange(length) < sizes[..., None]
        origin = np.where(inside, starts[..., None] + np.arange(length), 0)
        tokens = np.where(inside, split.stream[origin], self.pad_id)
        opening = (np.arange(length) == 0) & (tokens == self.bos_id)
        learn = ~opening if split.learn is None else split.learn[origin].astype(bool)
        documents = [tuple(row) for row in sequences.tolist()]
        segments = np.where(inside, 0, -1)
        return Rows(tokens, (inside & learn).astype(np.float32), segments, documents, self._columns(documents))

    def _columns(self, documents: list[tuple[int, ...]]) -> list[tuple[dict[str, Any], ...]]:
        if not self.split.has_columns:
            return []
        return [tuple(self.split.columns(number) for number in row) for row in documents]


def _check_documents(split: Split) -> None:
    """Raise DataError unless each document of the split can be a row of its own."""
    if not split.documents or not split.sequences:
        reason = "has no documents" if not split.documents else "has documents of unequal numbers of sequences"
        raise DataError(f"the {split.name} split {reason}, and each document needs a separate row")


def _aligned(starts: np.ndarray, ends: np.ndarray, context_length: int) -> np.ndarray:
    """Return the places in the stream where rows begin, (rows,) int64.

    The first row begins with the first document. Every further row begins with the first document that the row before
    did not hold whole. Example: for a context of 256, a document of 600 tokens has rows from its tokens 0, 256 and 512.
    The last target of each of these rows is the first token of the next row."""
    counts = np.maximum(-(-(ends - starts - 1) // context_length), 1)
    reached = starts + counts * context_length + 1
    following = np.searchsorted(ends, reached, side="right").tolist()
    chosen, document = [], 0
    while document < len(following):
        chosen.append(document)
        document = following[document]
    counts = counts[chosen]
    nth = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.repeat(starts[chosen], counts) + nth * context_length


def _below(tokens: int) -> int:
    """Return the largest power of two as a context length for which `tokens` fill at least one row."""
    return 1 << max((tokens - 1).bit_length() - 1, 0) if tokens > 1 else 1
