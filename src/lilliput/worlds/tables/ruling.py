"""Ruling: the rules and conditions of a table while its rows are generated, and on finished rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np

from lilliput.data.columns.codec import bounds
from lilliput.data.columns.dates import Dates, read_date, seconds_of
from lilliput.data.columns.numbers import Numbers, Quantiles, Values
from lilliput.data.columns.reading import Columns
from lilliput.data.columns.rules import Rule
from lilliput.data.columns.table import Group, Layout

MIRRORED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "==": "==", "!=": "!="}


class Ruling:
    """The rules of a layout's table, and conditions by column."""

    def __init__(self, layout: Layout, conditions: Mapping[str, str]):
        self.layout, self.conditions = layout, conditions
        table = layout.codec.table
        self.rules = [rule for rule in table.parsed_rules if not set(rule.names) & {*table.balance}]
        self.of_sums = [rule for rule in table.parsed_rules if rule not in self.rules]

    def wanted(self, group: Group, values: Columns, sums: Mapping[str, np.ndarray]) -> list[tuple[str, Any]]:
        """Return what the rules ask of a column, given the columns that were generated before it and the running sums
        of each row: comparisons and the values, or arrays of a value a row, that it is compared with."""
        found: list[tuple[str, Any]] = []
        for rule in self.rules:
            other, comparison = _side(rule, group.name, values)
            if comparison is not None:
                given = rule.value if other is None else as_numbers(self.layout.groups[other].codec, values[other])
                found.append((comparison, given))
        for rule in self.of_sums:
            total = rule.left
            if self.layout.codec.table.balance[total] == group.name and total in sums:
                found.append((rule.comparison, float(rule.value or 0) - sums[total]))
        return [(comparison, _scaled(group.codec, given)) for comparison, given in found]

    def allowed(self, group: Group, wanted: Sequence[tuple[str, Any]], allowed: np.ndarray) -> np.ndarray:
        """Return which codes of a column's first part are left, (size,) or (rows, size) bool: of `allowed`, those that
        can meet what is wanted. Where none of a row's codes can, they are left as they were."""
        for comparison, given in wanted:
            able = _able(group.codec, comparison, given)
            if able is not None:
                both = allowed & able
                allowed = np.where(both.any(-1, keepdims=True), both, allowed)
        return allowed

    def settled(
        self, group: Group, wanted: Sequence[tuple[str, Any]], values: Sequence[str | None]
    ) -> list[str | None]:
        """Return a column's values, moved to the nearest that meets what is wanted of numbers. A code may stand for a
        range of numbers, of which a rule allows a part."""
        codec = group.codec
        if not wanted or not isinstance(codec, Numbers):
            return list(values)
        step = 10.0**-codec.decimals
        numbers = as_numbers(codec, values)
        for comparison, given in wanted:
            if comparison == "!=" or isinstance(given, str):
                continue
            bound = np.broadcast_to(np.asarray(given, np.float64), numbers.shape)
            low, high = np.ceil(bound / step - 1e-6) * step, np.floor(bound / step + 1e-6) * step
            ends = {"<=": high, ">=": low, "==": bound, "<": low - step, ">": high + step}[comparison]
            moved = {"<": np.minimum, "<=": np.minimum, "==": lambda _, end: end}.get(comparison, np.maximum)(
                numbers, ends
            )
            numbers = np.where(np.isnan(bound), numbers, moved)
        return [
            None if value is None else f"{number:.{codec.decimals}f}"
            for value, number in zip(values, numbers.tolist(), strict=True)
        ]

    def holds(self, columns: Columns) -> np.ndarray:
        """Return which rows meet all rules and conditions, (rows,) bool."""
        count = len(next(iter(columns.values())))
        good = np.ones(count, bool)
        for rule in self.rules:
            if not set(rule.names) <= columns.keys():
                continue
            sides = {name: as_numbers(self.layout.groups[name].codec, columns[name]) for name in rule.names}
            gone = np.zeros(count, bool)
            for name in rule.names:
                gone |= np.array([value is None for value in columns[name]], bool)
            good &= gone | np.asarray(rule.holds(sides), bool)
        for rule in self.of_sums:
            if rule.left in columns:
                good &= rule.holds({rule.left: np.array([float(value or 0) for value in columns[rule.left]])})
        for name, condition in self.conditions.items():
            good &= _meets(self.layout.groups[name].codec, condition, columns[name])
        return good


def _side(rule: Rule, name: str, values: Columns) -> tuple[str | None, str | None]:
    """Return the other column that a rule compares `name` with (None: a value), and how `name` is compared with it;
    (None, None) where the rule says nothing yet."""
    if rule.right is None:
        return None, rule.comparison if rule.left == name else None
    if rule.left == name and rule.right in values:
        return rule.right, rule.comparison
    if rule.right == name and rule.left in values:
        return rule.left, MIRRORED[rule.comparison]
    return None, None


def _scaled(codec: Any, given: Any) -> Any:
    """Return a bound of numbers without the rounding of its last digits."""
    return np.round(given, codec.decimals + 3) if isinstance(codec, Numbers) and not isinstance(given, str) else given


def _able(codec: Any, comparison: str, given: Any) -> np.ndarray | None:
    """Return which codes of the first part hold a value that compares so with `given`, a value or an array of a value
    for each row; None where that is not known from the code."""
    ends = _ends(codec)
    if ends is None or isinstance(given, str):
        return None
    low, high = ends
    wanted = np.asarray(given, np.float64)[..., None]
    able = {
        "<": low < wanted,
        "<=": low <= wanted,
        ">": high > wanted,
        ">=": high >= wanted,
        "==": (low <= wanted) & (high >= wanted),
        "!=": (low != wanted) | (high != wanted),
    }[comparison]
    able = able | np.isnan(wanted)
    none = np.ones((*able.shape[:-1], codec.first), bool)  # a missing value meets every rule
    return np.concatenate((none, able), -1)


def _ends(codec: Any) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the least and the greatest value of each code of the first part, the missing one left out."""
    if isinstance(codec, Values):
        values = np.array(codec.values) / 10**codec.decimals
        return values, values
    if isinstance(codec, Quantiles):
        starts = np.array(codec.starts)
        return starts / 10**codec.decimals, np.append(starts[1:] - 1, codec.last) / 10**codec.decimals
    if isinstance(codec, Dates):
        return (
            np.array([seconds_of(datetime(year, 1, 1)) for year in codec.years]),
            np.array([seconds_of(datetime(year, 12, 31, 23, 59, 59)) for year in codec.years]),
        )
    return None


def as_numbers(codec: Any, values: Sequence[str | None]) -> np.ndarray:
    """Return the values of a column for comparisons: numbers, seconds of dates, or texts as they are; NaN for a missing
    number or date."""
    if isinstance(codec, Numbers):
        return np.array([np.nan if value is None else float(value) for value in values])
    if isinstance(codec, Dates):
        return np.array([np.nan if value is None else seconds_of(read_date(value, codec.format)) for value in values])
    return np.array([value or "" for value in values], dtype=object)


def _meets(codec: Any, condition: str, values: Sequence[str | None]) -> np.ndarray:
    if condition == "":
        return np.array([value is None for value in values], bool)
    if not isinstance(codec, Numbers | Dates):
        wanted = {condition, *(part.strip() for part in condition.split("|"))}
        return np.array([value in wanted for value in values], bool)
    ends = bounds(condition) or (condition, condition)
    numbers = as_numbers(codec, values)
    low, high = (as_numbers(codec, [end or None])[0] for end in ends)
    if isinstance(codec, Dates) and not codec.times and ends[1]:
        high += 86399  # the whole of the last day
    return ~np.isnan(numbers) & ~(numbers < low) & ~(numbers > high)
