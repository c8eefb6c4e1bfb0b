"""Marginals: aggregate tables of a population, such as a statistics office publishes them, read from CSV files."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np

from lilliput.base.errors import DataError, nearest

TOWN = Path(__file__).parent / "town"
"""The tables of a made-up town, which are used where no other ones are given."""
VARIABLES = ("age", "sex", "education", "sector", "income", "household", "tenure", "place")
"""The variables of a person, in the order in which they follow from each other."""
BANDS = ("age", "income")
"""Variables whose categories are ranges of numbers."""
COUNTS = ("people", "count", "persons", "n")
"""Names of the column that counts people."""
DIFFERENCE = 0.005
"""The greatest difference between two tables' shares of one category that goes without a note."""


@dataclass(frozen=True)
class Marginal:
    """One table: how many people there are of each combination of categories of a few variables.

    counts  one axis for each variable, in the order of its categories
    """

    name: str
    variables: tuple[str, ...]
    categories: tuple[tuple[str, ...], ...]
    counts: np.ndarray

    @property
    def shares(self) -> np.ndarray:
        """The counts divided by their sum."""
        return self.counts / self.counts.sum()

    def of(self, variable: str) -> dict[str, float]:
        """Return the share of each category of one variable."""
        axis = self.variables.index(variable)
        shares = self.shares.sum(tuple(each for each in range(self.counts.ndim) if each != axis))
        return dict(zip(self.categories[axis], shares.tolist(), strict=True))


@dataclass(frozen=True)
class Marginals:
    """The tables of a population. Every variable has the same categories in all tables."""

    tables: tuple[Marginal, ...]

    @cached_property
    def categories(self) -> dict[str, tuple[str, ...]]:
        """The categories of each variable: of those that a table names, in the order of VARIABLES."""
        named = {
            name: each for table in self.tables for name, each in zip(table.variables, table.categories, strict=True)
        }
        return {name: named[name] for name in VARIABLES if name in named}

    @cached_property
    def bands(self) -> dict[str, tuple[tuple[int, int], ...]]:
        """The lowest and highest number of each category of the variables that are ranges."""
        return {name: tuple(map(band, self.categories[name])) for name in BANDS}

    def differences(self) -> list[str]:
        """Return a line for each category whose share differs between two tables, which no population can fit."""
        found = []
        for name, categories in self.categories.items():
            shares = [(table.name, table.of(name)) for table in self.tables if name in table.variables]
            for category in categories:
                low, high = (
                    min(shares, key=lambda each: each[1][category]),
                    max(shares, key=lambda each: each[1][category]),
                )
                if high[1][category] - low[1][category] > DIFFERENCE:
                    found.append(
                        f"{name} '{category}' is {low[1][category]:.1%} of the people in {low[0]} and "
                        f"{high[1][category]:.1%} in {high[0]}"
                    )
        return found


def read_marginals(folder: str | Path = TOWN) -> Marginals:
    """Return the tables in a folder of CSV files. Each file has a column for each of its variables (VARIABLES) and a
    column `people` of counts. Raises DataError for a file that cannot be such a table, and where a variable that a
    person needs has no table."""
    paths = sorted(Path(folder).glob("*.csv"))
    if not paths:
        raise DataError(f"{folder} holds no CSV file", f"give a folder of tables such as those in {TOWN}")
    read = {path: _rows(path) for path in paths}
    categories: dict[str, dict[str, None]] = {}
    for header, rows in read.values():
        for place, name in enumerate(header[:-1]):
            categories.setdefault(name, {}).update((row[place], None) for row in rows)
    if missing := [name for name in VARIABLES if name not in categories]:
        raise DataError(
            f"the tables of {folder} do not mention {', '.join(missing)}",
            f"add a CSV file with the columns {missing[0]},people",
        )
    ordered = {name: _ordered(name, found) for name, found in categories.items()}
    return Marginals(tuple(_table(path, header, rows, ordered) for path, (header, rows) in read.items()))


def band(text: str) -> tuple[int, int]:
    """Return the lowest and highest number of a range: (18, 24) of "18-24", (80, 95) of "80+", which is open and ends
    at a fifth more or 15 more. Raises DataError."""
    low, sign, high = text.replace("–", "-").partition("-")
    try:
        if sign:
            first, last = int(low), int(high)
        else:
            first = int(text.removesuffix("+"))
            last = first + max(15, first // 5) if text.endswith("+") else first
    except ValueError:
        raise DataError(f"'{text}' is no range of numbers", "write 18-24, or 80+ for an open range") from None
    if not 0 <= first <= last:
        raise DataError(f"'{text}' is no range of numbers: its end comes before its beginning")
    return first, last


def _rows(path: Path) -> tuple[list[str], list[list[str]]]:
    """Return the header and the rows of a file. The column of counts is moved to the end."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = [[cell.strip() for cell in line] for line in csv.reader(file) if any(map(str.strip, line))]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as CSV: {error}") from None
    header = lines[0] if lines else []
    counts = [place for place, name in enumerate(header) if name.lower() in COUNTS]
    if len(counts) != 1 or len(header) < 2 or len(set(header)) < len(header):
        raise DataError(
            f"{path} has the columns {', '.join(header) or 'none'}", "it needs variables and a column people"
        )
    for name in header:
        if name not in VARIABLES and header.index(name) != counts[0]:
            raise DataError(
                f"{path} has an unknown column '{name}'{nearest(name, VARIABLES)}", f"known: {', '.join(VARIABLES)}"
            )
    for number, line in enumerate(lines[1:], start=2):
        if len(line) != len(header):
            raise DataError(f"line {number} of {path} has {len(line)} cells in place of {len(header)}")
    place = counts[0]
    moved = [[*line[:place], *line[place + 1 :], line[place]] for line in lines]
    return moved[0], moved[1:]


def _ordered(name: str, found: dict[str, None]) -> tuple[str, ...]:
    if name not in BANDS:
        return tuple(found)
    ordered = tuple(sorted(found, key=band))
    for left, right in pairwise(ordered):
        if band(left)[1] >= band(right)[0]:
            raise DataError(f"the ranges '{left}' and '{right}' of {name} overlap")
    return ordered


def _table(
    path: Path, header: Sequence[str], rows: Sequence[Sequence[str]], all_of: dict[str, tuple[str, ...]]
) -> Marginal:
    variables = tuple(header[:-1])
    categories = tuple(all_of[name] for name in variables)
    counts = np.zeros(tuple(map(len, categories)))
    seen = set[tuple[int, ...]]()
    for row in rows:
        place = tuple(names.index(cell) for names, cell in zip(categories, row[:-1], strict=True))
        try:
            number = float(row[-1])
        except ValueError:
            number = math.nan
        if not (math.isfinite(number) and number >= 0):
            raise DataError(f"{path} counts '{row[-1]}' people of {', '.join(row[:-1])}", "write a number, 0 at least")
        if place in seen:
            raise DataError(f"{path} has two rows of {', '.join(row[:-1])}", "add their counts")
        seen.add(place)
        counts[place] = number
    if not counts.sum():
        raise DataError(f"{path} counts nobody")
    return Marginal(path.stem, variables, categories, counts)
