"""Rows through time: how well the rows of synthetic entities follow each other as those of real ones do."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from lilliput.data.columns.dates import format_of, read_date
from lilliput.data.columns.reading import Columns
from lilliput.data.columns.schema import TableSchema
from lilliput.worlds.tables.matrix import codes_of, is_number, numbers_of
from lilliput.worlds.tables.quality import BINS, ks, total_variation


def through_time(schema: TableSchema, real: Columns, made: Columns) -> dict[str, float]:
    """Return errors, 0 to 1: of the number of rows of an entity and of the days between two rows (Kolmogorov-Smirnov),
    of the weekday (total variation), and for each column of the rows, of its pairs of one row and the next (total
    variation; numbers cut into BINS by the real rows), named `COLUMN, next`."""
    orders = [_order(schema, columns) for columns in (real, made)]
    found = {"rows_per_entity": ks(*(np.array([len(rows) for rows in order], float) for order in orders))}
    if schema.time is not None:
        sides = [_days(schema, columns) for columns in (real, made)]
        gaps = [
            np.array([days[b] - days[a] for rows in order for a, b in pairwise(rows)])
            for days, order in zip(sides, orders, strict=True)
        ]
        found["days_between"] = ks(*gaps)
        found["weekday"] = total_variation(*(np.floor(days).astype(int) % 7 for days in sides))
    for name in schema.of_rows:
        if name == schema.time:
            continue
        codes = _codes(schema, name, real, made)
        size = 1 + max(int(each.max(initial=0)) for each in codes)
        steps = [
            np.array([each[a] * size + each[b] for rows in order for a, b in pairwise(rows)], np.int64)
            for each, order in zip(codes, orders, strict=True)
        ]
        found[f"{name}, next"] = total_variation(*steps)
    return found


def _order(schema: TableSchema, columns: Columns) -> list[list[int]]:
    """Return the rows of each entity in the order of time."""
    days = _days(schema, columns) if schema.time is not None else np.zeros(len(columns[str(schema.entity)]))
    rows: dict[str | None, list[int]] = {}
    for row, owner in enumerate(columns[str(schema.entity)]):
        rows.setdefault(owner, []).append(row)
    return [sorted(each, key=lambda row: days[row]) for each in rows.values()]


def _days(schema: TableSchema, columns: Columns) -> np.ndarray:
    time = str(schema.time)
    values = columns[time]
    form = schema.columns[time].format or format_of([value for value in values if value]) or "%Y-%m-%d"
    dates = [read_date(value or "", form) for value in values]
    return np.array([date.toordinal() + (date.hour * 3600 + date.minute * 60 + date.second) / 86400 for date in dates])


def _codes(schema: TableSchema, name: str, real: Columns, made: Columns) -> list[np.ndarray]:
    if not is_number(schema, name):
        both = codes_of({"real": real[name], "made": made[name]})
        return [both["real"], both["made"]]
    sides = [np.nan_to_num(numbers_of(schema, name, columns[name])) for columns in (real, made)]
    edges = np.unique(np.quantile(sides[0], np.linspace(0, 1, BINS + 1)[1:-1]))
    return [np.searchsorted(edges, each) for each in sides]
