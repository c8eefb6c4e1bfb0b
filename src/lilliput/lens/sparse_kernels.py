"""Sparse arithmetic of autoencoders: the k largest numbers of each row, and products that touch k rows of a table.

A dense product over all features costs `width` multiplications for each number of an activation, and k of them
count. `torch.nn.functional.embedding_bag` gathers k rows and sums them in one call, and its gradient in the weights of
the rows is the product of a vector with k rows. Both are used in place of dense products.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

GROUPS = 16
"""`largest` compares groups of this many numbers first."""


def largest(rows: torch.Tensor, k: int) -> torch.Tensor:
    """Return the places (N, k) int64 of the k largest numbers in each row of (N, width), in any order.

    The k largest numbers lie in the k groups with the largest maxima, because each of these groups has a number that
    is at least as large as any number of another group. So the search is over k * 16 numbers, in place of `width`.
    Example: with groups of 2, the 2 largest of (1 9 | 2 8 | 7 3 | 4 5) are searched in (1 9 | 2 8) alone.
    """
    count, width = rows.shape
    if width % GROUPS or width < 4 * GROUPS * k:
        return rows.topk(k, sorted=False).indices
    groups = width // GROUPS
    # A group has the numbers at g, g + groups, g + 2 groups and so on, because such maxima are found a register at
    # a time.
    best = rows.view(count, GROUPS, groups).amax(1).topk(k, sorted=False).indices
    steps = torch.arange(0, width, groups, device=rows.device)
    candidates = (best[:, None, :] + steps[None, :, None]).flatten(1)
    chosen = rows.gather(1, candidates).topk(k, sorted=False).indices
    return candidates.gather(1, chosen)


def sum_of_rows(table: torch.Tensor, places: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return (N, d): for each row of `places` (N, k), the sum of these rows of `table` (width, d), each times its
    number in `weights` (N, k)."""
    return F.embedding_bag(places, table, per_sample_weights=weights, mode="sum")


def products_with_rows(table: torch.Tensor, places: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
    """Return (N, k): the products of each vector of (N, d) with its rows of `table` (width, d) at `places` (N, k).

    They are the gradient of `sum_of_rows` in its weights. PyTorch computes this gradient without a copy of the rows.
    """
    with torch.enable_grad():
        weights = torch.zeros(places.shape, dtype=table.dtype, device=table.device, requires_grad=True)
        found = sum_of_rows(table.detach(), places, weights)
        return torch.autograd.grad(found, weights, vectors)[0]


class ByFeature:
    """The entries of a sparse (N, width) matrix in the order of features, to sum over the rows of each feature.

    `places` (N, k) are the columns of the entries. Sums are in the order of rows, so that a result is always the same.
    """

    def __init__(self, places: torch.Tensor, width: int):
        flat = places.flatten()
        small = flat.to(torch.int16) if width <= 2**15 else flat.to(torch.int32)  # small integers sort faster
        found, self._order = small.sort(stable=True)
        self._rows = self._order // places.shape[1]
        numbers = torch.arange(width, device=places.device, dtype=small.dtype)
        self._starts = torch.searchsorted(found, numbers)
        self._width = width

    def sums(self, weights: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
        """Return (width, d): for each feature the sum over its entries of weight times the vector of the entry's row.
        `weights` (N, k), `vectors` (N, d). It is the product (width, N) x (N, d)."""
        ordered = weights.flatten()[self._order]
        return F.embedding_bag(self._rows, vectors, self._starts, per_sample_weights=ordered, mode="sum")

    def totals(self, weights: torch.Tensor) -> torch.Tensor:
        """Return (width,): the sum of the weights (N, k) of each feature."""
        return self.sums(weights, torch.ones(len(weights), 1, dtype=weights.dtype, device=weights.device)).squeeze(1)
