"""PoissonLoader: batches in which each document takes part by a draw of its own, as the accounts of DP-SGD assume."""

from __future__ import annotations

from typing import Any

import numpy as np

from lilliput.base.errors import DataError
from lilliput.base.seeds import generator
from lilliput.data.loader import Loader
from lilliput.data.rows import Rows
from lilliput.data.split import Split


class PoissonLoader(Loader):
    """A row is one document of one sequence, from its beginning, then padding up to the longest document drawn.

    `take(position, count)` draws each document with the probability count / documents, so that the number of rows
    varies around `count`. The draws depend on the seed and the position alone. A draw without any document gives one
    row of which nothing is learned. Raises DataError for documents of several sequences."""

    def __init__(self, split: Split, context_length: int, seed: int, **settings: Any):
        super().__init__(split, context_length, seed, packing="documents", **settings)
        if split.sequences != 1:
            raise DataError(
                f"documents of {split.sequences} sequences cannot be drawn one by one", "leave out train.privacy"
            )

    def take(self, position: int, count: int) -> Rows:
        """Return the documents of one draw, (about `count`, longest) tokens."""
        total = self.rows_per_epoch
        chosen = np.flatnonzero(generator(self.seed, "poisson", position).random(total) < count / total)
        rows = self._document_rows(chosen if len(chosen) else np.zeros(1, np.int64))
        assert rows.segments is not None
        # At least two positions: a first one, and one to be predicted.
        length = max(2, int((rows.segments[:, 0] == 0).sum(1).max()))
        learn = rows.learn[:, 0, :length] * (len(chosen) > 0)
        # No segments: a document sees nothing behind it, and its padding is not learned.
        return Rows(rows.tokens[:, 0, :length], learn, None, rows.documents, rows.columns)
