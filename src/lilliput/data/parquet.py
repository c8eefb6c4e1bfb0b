"""Parquet as a source: rows in batches, columns by name, and bounds on the unpacked size of a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Literal

from lilliput.base.errors import DataError, MissingExtra
from lilliput.base.reading import check_regular
from lilliput.data.files import reading
from lilliput.data.row_documents import first_form, missing_column
from lilliput.data.source import MAX_DOCUMENT_CHARACTERS, SOURCES, Errors
from lilliput.data.tables import FIRST_ROWS, Table

ROWS = 256
"""Rows in a batch."""
MOST_UNPACKED = 2**28
MOST_RATIO = 100
"""A column's part of a row group may unpack to MOST_UNPACKED bytes, or to MOST_RATIO times its packed size where this
is more. Text has a tenth of that ratio."""
UTF8_BYTES = 4


@SOURCES.add("parquet")
class Parquet(Table):
    """Parquet, read in batches of rows. Of texts only the columns that are asked for are read."""

    kind: Literal["parquet"] = "parquet"
    suffixes: ClassVar[tuple[str, ...]] = (".parquet",)

    def rows(self, path: Path, errors: Errors) -> Iterator[tuple[int, Mapping[str, Any]]]:
        with _opened(path) as file:
            columns = self._columns(path, file)
            yield from _rows(file, columns, errors, path)

    def _columns(self, path: Path, file: Any) -> list[str]:
        """Return the columns to read: of a text the named ones and its label, of an example all."""
        known = file.schema_arrow.names
        examples = self.format != "text" and first_form(dict.fromkeys(known), self.column, self.format, str(path))
        columns = list(known) if examples else list(dict.fromkeys([self.column, *self.keep]))
        for column in (*columns, *self.keep):
            if column not in known:
                raise missing_column(column, _lengths(file), str(path))
            if known.count(column) > 1:
                raise DataError(
                    f"{path} has {known.count(column)} columns called '{column}'",
                    "rename one of them, or write the file again with only the columns that are read",
                )
        if not examples and self.format != "text" and known.count("label") == 1 and "label" not in columns:
            columns.append("label")
        return columns


def whole_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of a file with all of its columns. Raises DataError as the source does."""
    with _opened(path) as file:
        for _, row in _rows(file, file.schema_arrow.names, "strict", path):
            yield dict(row)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open the file, with text read as dictionaries, so that a text that every row repeats is held once."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise MissingExtra("pyarrow", "data", "reading Parquet") from None
    with reading(path):
        check_regular(path)
        try:
            metadata = pq.read_metadata(path)
            check_unpacked(metadata, path)
            leaves = [metadata.schema.column(number) for number in range(len(metadata.schema.names))]
            # Only a column that is no list or object can be read as a dictionary.
            texts = {
                leaf.path for leaf in leaves if leaf.physical_type == "BYTE_ARRAY" and not leaf.max_repetition_level
            }
            texts &= set(metadata.schema.to_arrow_schema().names)
            with pq.ParquetFile(path, read_dictionary=sorted(texts)) as file:
                yield file
        except (pa.ArrowException, ValueError, MemoryError) as error:
            first = (str(error) or type(error).__name__).splitlines()[0]
            raise DataError(f"{path} is not a readable Parquet file: {first}") from None


def _rows(file: Any, columns: Sequence[str], errors: Errors, path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    number = 0
    for batch in file.iter_batches(batch_size=ROWS, columns=list(columns)):
        found = {name: _values(batch.column(name), f"{path}:{number + 1}") for name in columns}
        for place in range(batch.num_rows):
            number += 1
            row = {}
            for name, (values, places) in found.items():
                at = places[place]
                value = None if at is None else values[at].as_py()
                row[name] = _decoded(value, errors, f"{path}:{number}")
            yield number, row


def check_unpacked(metadata: Any, path: Path) -> None:
    """Raise DataError for a file whose metadata give a column a far larger unpacked than packed size."""
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        for column in map(group.column, range(group.num_columns)):
            packed, unpacked = column.total_compressed_size, column.total_uncompressed_size
            if unpacked > max(MOST_UNPACKED, MOST_RATIO * packed):
                raise DataError(
                    f"{path}: {packed:,} bytes of the column '{column.path_in_schema}' unpack to {unpacked:,}",
                    "write the file again with smaller row groups, or leave the file out",
                )


def _values(column: Any, where: str) -> tuple[Any, Sequence[int | None]]:
    """Return (distinct values, index of each row's value, None for a null) of a batch's column.

    Strings are left as bytes, and decoded later, where an error can name the row. Raises DataError for a text longer
    than the largest document."""
    import pyarrow as pa

    if not pa.types.is_dictionary(column.type):
        return column, range(len(column))
    values = column.dictionary
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        values = values.cast(pa.large_binary())
        longest = max((len(value) for value in map(_buffer, values) if value is not None), default=0)
        if longest > UTF8_BYTES * MAX_DOCUMENT_CHARACTERS:
            raise _too_long(where, longest, "bytes")
    return values, column.indices.to_pylist()


def _buffer(value: Any) -> Any:
    """Return the bytes of a binary scalar without copying them."""
    return value.as_buffer()


def _too_long(where: str, length: int, unit: str) -> DataError:
    return DataError(
        f"{where}: a text of {length:,} {unit} is longer than {MAX_DOCUMENT_CHARACTERS:,} characters, the most that is "
        "held in memory",
        "split it into several documents, one a row",
    )


def _lengths(file: Any) -> dict[str, float]:
    """Return the mean characters of text in each column of a Parquet file's first rows; 0 for a column without text."""
    lengths = dict.fromkeys(file.schema_arrow.names, 0.0)
    batch = next(file.iter_batches(batch_size=FIRST_ROWS), None)
    for name, column in zip(batch.schema.names, batch.columns, strict=True) if batch is not None else ():
        texts = [value for value in column.to_pylist() if isinstance(value, str)]
        lengths[name] = sum(map(len, texts)) / max(1, len(column))
    return lengths


def _decoded(value: Any, errors: Errors, name: str) -> Any:
    """Return a Parquet string decoded from its bytes; other values unchanged."""
    try:
        text = value.decode("utf-8", errors) if isinstance(value, bytes) else value
    except UnicodeDecodeError as error:
        raise DataError(
            f"{name}: the text is not UTF-8 at its byte {error.start:,} ({error.reason})",
            "put a replacement character there: data.errors=replace",
        ) from None
    if isinstance(text, str) and len(text) > MAX_DOCUMENT_CHARACTERS:
        raise _too_long(name, len(text), "characters")
    return text
