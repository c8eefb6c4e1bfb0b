"""Sources: what a decoder's layers read of the sources that its encoder has read, kept with the texts of a cache."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from lilliput.model.attention import no_sources

Row = dict[int, tuple[torch.Tensor, torch.Tensor]]


class Sources:
    """Keys and values of the source of each text, by layer: (n_kv_heads, S, d_head) each, S the source's own length.

    They never change, so that texts of one source share them. What the layers read is put together once, and again
    after texts have come or gone.
    """

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self._together: dict[int, tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]] = {}

    def remember(self, layer: int, k: torch.Tensor, v: torch.Tensor, lengths: torch.Tensor | None) -> None:
        """Keep a layer's keys and values (B, n_kv_heads, S, d_head) of the rows, of which `lengths` are real."""
        if len(self.rows) != len(k):
            self.rows = [{} for _ in k]
        ends = [k.shape[2]] * len(k) if lengths is None else lengths.tolist()
        for row, keys, values, end in zip(self.rows, k, v, ends, strict=True):
            row[layer] = keys[:, :end], values[:, :end]
        self._together[layer] = k, v, lengths

    def remembered(self, layer: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """Return a layer's keys and values of all rows, padded behind their lengths. Raises ModelError without any."""
        if layer not in self._together:
            if not self.rows or layer not in self.rows[0]:
                raise no_sources(layer)
            keys, values = zip(*(row[layer] for row in self.rows), strict=True)
            ends = [each.shape[1] for each in keys]
            lengths = None if min(ends) == max(ends) else torch.tensor(ends, device=keys[0].device)
            self._together[layer] = _padded(keys, max(ends)), _padded(values, max(ends)), lengths
        return self._together[layer]

    def put(self, row: int, other: Sources, source: int) -> None:
        """Make row `row` a copy of row `source` of other sources; `row` may be one beyond the rows."""
        self._set([*self.rows[:row], other.rows[source], *self.rows[row + 1 :]])

    def select(self, rows: Sequence[int]) -> None:
        """Keep these rows in this order."""
        self._set([self.rows[row] for row in rows])

    def drop(self) -> None:
        """Give up the last row."""
        self._set(self.rows[:-1])

    def _set(self, rows: list[Row]) -> None:
        same = len(rows) == len(self.rows) and all(one is other for one, other in zip(rows, self.rows, strict=True))
        if not same:
            self.rows, self._together = rows, {}


def _padded(parts: Sequence[torch.Tensor], length: int) -> torch.Tensor:
    """(heads, some length, d) each -> (B, heads, length, d), zeros behind."""
    if all(part.shape[1] == length for part in parts):
        return torch.stack(list(parts))
    return torch.stack([torch.nn.functional.pad(part, (0, 0, 0, length - part.shape[1])) for part in parts])
