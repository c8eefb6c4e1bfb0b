"""The joint distribution of a population's variables that fits its tables, by iterative proportional fitting."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lilliput.base.errors import DataError
from lilliput.worlds.population.marginals import Marginal, Marginals

MOST_CELLS = 30_000_000
"""The most combinations of categories: a quarter of a gigabyte."""
ROUNDS = 1000
CLOSE = 1e-9
"""Fitting ends where no share of a table is further from the joint distribution than this."""


@dataclass(frozen=True)
class Joint:
    """A share for each combination of categories: one axis for each variable of `marginals`. `error` is the greatest
    difference between a share of a table and the sum of its combinations; `rounds` is the number of rounds taken."""

    marginals: Marginals
    shares: np.ndarray
    error: float
    rounds: int


def fit_joint(marginals: Marginals) -> Joint:
    """Return the distribution of greatest entropy that has the shares of all tables (Deming and Stephan 1940; Csiszár
    1975). Where tables contradict each other, it is a compromise, and `error` is not near 0. Raises DataError for too
    many combinations, and where no combination is left for a category that has people."""
    sizes = tuple(map(len, marginals.categories.values()))
    if (cells := int(np.prod(sizes, dtype=np.float64))) > MOST_CELLS:
        raise DataError(
            f"the tables have {cells:,} combinations of categories, and {MOST_CELLS:,} can be held",
            "join categories, such as ages into ranges of ten years",
        )
    names = list(marginals.categories)
    shares = np.full(sizes, 1 / cells)
    error, done = np.inf, 0
    while error > CLOSE and done < ROUNDS:
        for table in marginals.tables:
            _scale(shares, table, names)
        error = max(float(np.abs(_sum(shares, table, names) - table.shares).max()) for table in marginals.tables)
        done += 1
    return Joint(marginals, shares / shares.sum(), error, done)


def _sum(shares: np.ndarray, table: Marginal, names: list[str]) -> np.ndarray:
    """Return the shares of a table's combinations in the joint distribution, with the table's axes in its order."""
    axes = [names.index(name) for name in table.variables]
    summed = shares.sum(tuple(axis for axis in range(shares.ndim) if axis not in axes))
    # What is left has its axes in the order of `names`.
    return np.moveaxis(summed, np.argsort(np.argsort(axes)).tolist(), range(len(axes)))


def _scale(shares: np.ndarray, table: Marginal, names: list[str]) -> None:
    axes = [names.index(name) for name in table.variables]
    wanted, found = table.shares, _sum(shares, table, names)
    if (gone := (wanted > 0) & (found == 0)).any():
        where = np.argwhere(gone)[0]
        cell = ", ".join(names_[place] for names_, place in zip(table.categories, where, strict=True))
        raise DataError(f"{table.name} has people of {cell}, whom the other tables rule out", "look at their zeros")
    ratio = np.divide(wanted, found, out=np.zeros_like(found), where=found > 0)
    shape = [1] * shares.ndim
    for axis in axes:
        shape[axis] = shares.shape[axis]
    shares *= np.moveaxis(ratio, range(len(axes)), np.argsort(np.argsort(axes)).tolist()).reshape(shape)
