"""What synthetic rows and their model give away of the rows that it was trained on. None of it is a guarantee."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lilliput.base.errors import ConfigError
from lilliput.data.columns.reading import Columns
from lilliput.data.columns.schema import TableSchema
from lilliput.worlds.tables.matrix import codes_of, is_number, measured_columns, numbers_of

QUERIES = 1500
"""Least rows that a share is measured on: its 95% interval is then at most 2.5 points wide on each side."""
BLOCK = 2**24
"""Distances that are held at once."""
NEAR = 0.02
"""A row is a near copy where it differs from a training row by at most this share of all columns' ranges."""


@dataclass(frozen=True, slots=True)
class Share:
    """A share of `queries`, with its 95% interval by Wilson's score (JASA 22, 1927)."""

    share: float
    low: float
    high: float
    queries: int


def share_of(right: float, queries: int, z: float = 1.959964) -> Share:
    """Return `right` of `queries` as a share with its interval."""
    share, square = right / queries, z * z / queries
    middle = (share + square / 2) / (1 + square)
    margin = z / (1 + square) * math.sqrt(share * (1 - share) / queries + square / (4 * queries))
    return Share(share, max(0.0, middle - margin), min(1.0, middle + margin), queries)


def check_queries(**tables: int) -> None:
    """Raise ConfigError for tables of fewer than QUERIES rows."""
    for name, rows in tables.items():
        if rows < QUERIES:
            raise ConfigError(
                f"{rows:,} {name} rows are too few: a share needs {QUERIES:,} rows, else its interval says little",
                "give more rows" if name != "synthetic" else f"sample more: --rows {QUERIES}",
            )


class Space:
    """Rows as points, with Gower's distance (Biometrics 27, 1971): the mean over columns of |a - b| / range for numbers
    and of 0 or 1 for equal or other categories. The range is that of the training rows, between their 1st and 99th
    percentile; a larger difference counts as 1."""

    def __init__(self, schema: TableSchema, tables: dict[str, Columns], scale_by: str):
        names = measured_columns(schema, tables[scale_by])
        numbers = [name for name in names if is_number(schema, name)]
        self.columns = len(names)
        self.numbers: dict[str, np.ndarray] = {table: np.zeros((len(tables[table][names[0]]), 0)) for table in tables}
        if numbers:
            low_high = [_range(numbers_of(schema, name, tables[scale_by][name])) for name in numbers]
            for table, columns in tables.items():
                parts = [
                    np.nan_to_num((numbers_of(schema, name, columns[name]) - low) / (high - low), nan=-9.0)
                    for name, (low, high) in zip(numbers, low_high, strict=True)
                ]
                self.numbers[table] = np.stack(parts, 1).astype(np.float32)
        others = [name for name in names if name not in numbers]
        coded = [codes_of({table: columns[name] for table, columns in tables.items()}) for name in others]
        self.codes = {
            table: np.stack([each[table] for each in coded], 1)
            if coded
            else np.zeros((len(self.numbers[table]), 0), int)
            for table in tables
        }

    def nearest(self, table: str, other: str) -> np.ndarray:
        """Return, for each row of a table, the distance to the nearest row of another table, (n,) float32. Memory is
        bounded by BLOCK."""
        mine, theirs = self.numbers[table], self.numbers[other]
        mine_codes, their_codes = self.codes[table], self.codes[other]
        step = max(1, BLOCK // max(1, len(theirs)))
        found = np.empty(len(mine), np.float32)
        for start in range(0, len(mine), step):
            stop = min(len(mine), start + step)
            total = np.zeros((stop - start, len(theirs)), np.float32)
            for place in range(mine.shape[1]):
                total += np.minimum(1, np.abs(mine[start:stop, place, None] - theirs[None, :, place]))
            for place in range(mine_codes.shape[1]):
                total += mine_codes[start:stop, place, None] != their_codes[None, :, place]
            found[start:stop] = total.min(1) / self.columns
        return found


def _range(values: np.ndarray) -> tuple[float, float]:
    known = values[~np.isnan(values)]
    if not len(known):
        return 0.0, 1.0
    low, high = np.quantile(known, (0.01, 0.99))
    if high <= low:
        low, high = known.min(), known.max()
    return float(low), float(max(high, low + 1e-9))


def closer_to_train(space: Space, made: str, train: str, holdout: str) -> Share:
    """Return the share of synthetic rows that are closer to a training row than to a holdout row, ties counted half.
    The two tables need as many rows. It is 0.5 where the model learned nothing of single rows."""
    near, far = space.nearest(made, train), space.nearest(made, holdout)
    return share_of(float((near < far).sum() + (near == far).sum() / 2), len(near))


def copies(space: Space, made: str, other: str, within: float = 0.0) -> Share:
    """Return the share of synthetic rows that equal a row of another table, or differ by at most `within`."""
    return share_of(float((space.nearest(made, other) <= within + 1e-7).sum()), len(space.numbers[made]))


def area(members: np.ndarray, others: np.ndarray) -> Share:
    """Return the probability that a member's score is above another row's, ties counted half (the area under the ROC
    curve), with its 95% interval by Hanley and McNeil (Radiology 143, 1982)."""
    both = np.concatenate((members, others))
    order = both.argsort(kind="stable")
    ranks = np.empty(len(both))
    ranks[order] = np.arange(1, len(both) + 1)
    for value, count in Counter(both.tolist()).items():
        if count > 1:
            ranks[both == value] = ranks[both == value].mean()
    first, second = len(members), len(others)
    found = float((ranks[:first].sum() - first * (first + 1) / 2) / (first * second))
    q1, q2 = found / (2 - found), 2 * found**2 / (1 + found)
    spread = found * (1 - found) + (first - 1) * (q1 - found**2) + (second - 1) * (q2 - found**2)
    margin = 1.959964 * math.sqrt(max(0.0, spread) / (first * second))
    return Share(found, max(0.0, found - margin), min(1.0, found + margin), first + second)


def membership_by_distance(space: Space, made: str, train: str, holdout: str) -> Share:
    """Return how well the distance to the nearest synthetic row tells training rows from holdout rows: 0.5 is not at
    all."""
    return area(-space.nearest(train, made), -space.nearest(holdout, made))


@dataclass(frozen=True, slots=True)
class Anonymity:
    """k is the least number of rows that share their values of `columns`; `alone` the share of rows that share them
    with no other row."""

    columns: tuple[str, ...]
    k: int
    alone: float
    rows: int


def anonymity(columns: Columns, names: Sequence[str]) -> Anonymity:
    """Return the k-anonymity of a table (Sweeney, IJUFKS 10, 2002) by the columns that someone could know of a
    person."""
    counts = Counter(zip(*(columns[name] for name in names), strict=True))
    rows = sum(counts.values())
    return Anonymity(tuple(names), min(counts.values()), sum(count == 1 for count in counts.values()) / rows, rows)
