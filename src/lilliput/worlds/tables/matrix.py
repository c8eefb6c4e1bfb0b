"""Columns as numbers for statistics and models of trees: ranks of numbers, codes of categories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from lilliput.base.errors import DataError
from lilliput.data.columns.dates import format_of, read_date, seconds_of
from lilliput.data.columns.reading import Columns
from lilliput.data.columns.schema import TableSchema


def measured_columns(schema: TableSchema, columns: Columns) -> tuple[str, ...]:
    """Return the columns that are compared: all kept ones that the files have, texts as their length. Raises DataError
    where a table lacks a column."""
    for name in schema.kept:
        if name not in columns:
            raise DataError(f"a table lacks the column '{name}'", f"it has: {', '.join(columns)}")
    return schema.kept


def is_number(schema: TableSchema, name: str) -> bool:
    """Whether a column is compared as a number: numbers, dates, and the lengths of texts."""
    return schema.columns[name].kind in ("number", "date", "text")


def numbers_of(schema: TableSchema, name: str, values: Sequence[str | None]) -> np.ndarray:
    """Return a column as numbers, (n,) float64: the number itself, days of a date, characters of a text; NaN where the
    value is missing."""
    column = schema.columns[name]
    if column.kind == "number":
        return np.array([np.nan if value is None else float(value) for value in values])
    if column.kind == "date":
        form = column.format or format_of([value for value in values if value is not None]) or "%Y-%m-%d"
        return np.array([np.nan if value is None else seconds_of(read_date(value, form)) / 86400 for value in values])
    return np.array([np.nan if value is None else float(len(value)) for value in values])


def codes_of(values: Mapping[str, Sequence[str | None]]) -> dict[str, np.ndarray]:
    """Return the values of one column in several tables as codes that are the same for equal values, (n,) int64 each;
    a missing value is a code of its own."""
    known: dict[str | None, int] = {}
    return {table: np.array([known.setdefault(value, len(known)) for value in each]) for table, each in values.items()}


def matrix(schema: TableSchema, tables: Mapping[str, Columns], names: Sequence[str]) -> dict[str, np.ndarray]:
    """Return each table as a matrix (rows, columns) float64, with codes of categories that are the same in all."""
    parts: dict[str, list[np.ndarray]] = {table: [] for table in tables}
    for name in names:
        if is_number(schema, name):
            found = {table: numbers_of(schema, name, columns[name]) for table, columns in tables.items()}
        else:
            coded = codes_of({table: columns[name] for table, columns in tables.items()})
            found = {table: codes.astype(np.float64) for table, codes in coded.items()}
        for table, part in found.items():
            parts[table].append(part)
    return {table: np.stack(each, 1) for table, each in parts.items()}


def categorical(schema: TableSchema, names: Sequence[str]) -> list[bool]:
    """Return which columns of a matrix are codes."""
    return [not is_number(schema, name) for name in names]
