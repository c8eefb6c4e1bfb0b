"""Rows of CSV and Parquet files as values by column: texts, and None where a value is missing."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from lilliput.base.errors import DataError
from lilliput.data.files import expand, kind_suffix, lines
from lilliput.data.parquet import whole_rows
from lilliput.data.tables import Csv

SUFFIXES = (".csv", ".tsv", ".parquet")
Row = dict[str, str]
Columns = dict[str, list["str | None"]]


def table_files(paths: Sequence[str]) -> list[Path]:
    """Return the files of a table. Raises DataError for a file of another kind, and for no file."""
    files = expand(paths, SUFFIXES)
    for path in files:
        if kind_suffix(path) not in SUFFIXES:
            raise DataError(f"{path} is no table", f"give a file that ends in {', '.join(SUFFIXES)}")
    return files


def read_rows(path: Path) -> Iterator[Row]:
    """Yield the rows of one file, values as texts and "" for a null. Raises DataError for a damaged file, and for
    two columns of one name."""
    if kind_suffix(path) == ".parquet":
        for row in whole_rows(path):
            yield {name: _spelled(value, name, path) for name, value in row.items()}
        return
    _check_names(path)
    for _, row in Csv(paths=(str(path),)).rows(path, "strict"):
        yield {name: str(value) for name, value in row.items()}


def read_header(path: Path) -> list[str]:
    """Return the names of a file's columns. Raises DataError for a file without rows."""
    first = next(read_rows(path), None)
    if first is None:
        raise DataError(f"{path} has no rows", "give a table with a header line and at least one row")
    return list(first)


def read_batches(paths: Sequence[str], missing: Mapping[str, Iterable[str]], size: int = 65536) -> Iterator[Columns]:
    """Yield the columns that `missing` names, so many rows at a time. A value that is in the column's `missing` is
    None. Raises DataError for a file that lacks one of the columns."""
    none = {name: frozenset(values) for name, values in missing.items()}
    for path in table_files(paths):
        rows = read_rows(path)
        while batch := list(islice(rows, size)):
            if lacking := none.keys() - batch[0].keys():
                raise DataError(
                    f"{path} has no column '{min(lacking)}'",
                    f"it has: {', '.join(batch[0])}; edit the schema, or the file",
                )
            yield {name: [None if row[name] in gone else row[name] for row in batch] for name, gone in none.items()}


def joined(batches: Iterable[Columns]) -> Columns:
    """Return the columns of all batches together."""
    found: Columns = {}
    for batch in batches:
        for name, values in batch.items():
            found.setdefault(name, []).extend(values)
    return found


def _check_names(path: Path) -> None:
    delimiter = "\t" if ".tsv" in path.suffixes else ","
    names = next(csv.reader((line for _, line in lines(path, "strict")), delimiter=delimiter), [])
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"{path} has two columns called '{twice}'", "rename one of them")


def _spelled(value: Any, name: str, path: Path) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat(" ", "seconds")
    if isinstance(value, str | int | date):
        return str(value)
    if isinstance(value, float):
        return "" if value != value else repr(value)
    try:
        return format(value, "f")  # a decimal number
    except (TypeError, ValueError):
        raise DataError(
            f"{path}: the column '{name}' holds a {type(value).__name__}", "leave it out, or write it as text"
        ) from None
