"""Files of generated rows: CSV, or Parquet with the types of the columns, whole or in shards."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from lilliput.base.errors import ConfigError, MissingExtra
from lilliput.data.columns.dates import Dates
from lilliput.data.columns.numbers import Numbers
from lilliput.data.columns.reading import Columns
from lilliput.data.columns.table import TableCodec

SUFFIXES = (".csv", ".tsv", ".parquet")


def check_suffix(path: Path) -> None:
    """Raise ConfigError for a file of another kind."""
    if path.suffix not in SUFFIXES:
        raise ConfigError(f"{path} is no file of rows", f"name one that ends in {', '.join(SUFFIXES)}")


def check_new(path: Path) -> None:
    """Raise ConfigError for a file that is there: it may be the real table."""
    if path.exists():
        raise ConfigError(f"{path} is there already", "give another --out, or delete it")


def write_rows(path: Path, codec: TableCodec, columns: Columns, names: Mapping[str, str] | None = None) -> None:
    """Write rows into a file that is there whole or not at all. `names` are the codec's names of the columns, where
    these are called otherwise. Raises OSError, ConfigError for another suffix, and
    MissingExtra for Parquet without pyarrow."""
    check_suffix(path)
    check_new(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with _whole(path) as place:
        if path.suffix == ".parquet":
            _write_parquet(place, codec, columns, names or {})
        else:
            _write_text(place, columns, "\t" if path.suffix == ".tsv" else ",")


def write_columns(path: Path, columns: Columns) -> None:
    """Write columns as CSV or TSV, whole or not at all. Raises OSError, and ConfigError for another suffix."""
    if path.suffix not in (".csv", ".tsv"):
        raise ConfigError(f"{path} is no file of texts", "name one that ends in .csv or .tsv")
    path.parent.mkdir(parents=True, exist_ok=True)
    with _whole(path) as place:
        _write_text(place, columns, "\t" if path.suffix == ".tsv" else ",")


def _write_text(place: Path, columns: Columns, delimiter: str) -> None:
    with open(place, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=delimiter, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([value or "" for value in row] for row in zip(*columns.values(), strict=True))


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    place = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield place
        os.replace(place, path)
    finally:
        place.unlink(missing_ok=True)


def _write_parquet(place: Path, codec: TableCodec, columns: Columns, names: Mapping[str, str]) -> None:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise MissingExtra("pyarrow", "tables", "writing Parquet") from None
    arrays = {name: pa.array(*_typed(codec, names.get(name, name), values)) for name, values in columns.items()}
    pq.write_table(pa.table(arrays), place, compression="zstd")


def _typed(codec: TableCodec, name: str, values: list[str | None]) -> tuple[list[Any], Any]:
    """Return the values and the Arrow type of a column."""
    import pyarrow as pa

    each, column = codec.codecs.get(name), codec.table.columns.get(name)
    if column is None:  # the key of a parent
        return list(values), pa.string()
    if isinstance(each, Numbers) or name in codec.table.balance:
        kind = float if column.decimals else int
        return [
            None if value is None else kind(value) for value in values
        ], pa.float64() if column.decimals else pa.int64()
    if isinstance(each, Dates):
        dates = [None if value is None else datetime.strptime(value, each.format) for value in values]
        if each.times:
            return dates, pa.timestamp("s")
        return [None if date is None else date.date() for date in dates], pa.date32()
    return list(values), pa.string()
