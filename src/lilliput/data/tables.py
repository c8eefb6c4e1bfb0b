"""Rows as a source: JSONL and CSV files, and JSON files that hold a list, with a text column or with examples."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from itertools import islice
from json import JSONDecodeError, JSONDecoder
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from lilliput.base.errors import DataError
from lilliput.data.document import Document
from lilliput.data.example_rows import Format
from lilliput.data.files import FileSource, lines, text_blocks
from lilliput.data.row_documents import FORMAT, RowReader, counted, described, mean_lengths
from lilliput.data.source import MAX_DOCUMENT_CHARACTERS, SOURCES, Errors

WHITE = " \t\r\n"
FIRST_ROWS = 64
"""The column with the longest text is found in this many rows."""
MOST_DESCRIBED = 32
"""Files whose first row is read to describe a source."""


class Table(FileSource):
    """Files of rows, a document each: a text, or an example of the kind that the columns of the file's first row make
    (see example_rows). A text that is null is dropped and counted. A document's id is `FILE:row`, counted from 1."""

    column: str = Field(default="text", description="the column that holds the text")
    keep: tuple[str, ...] = Field(default=(), description="columns that are kept beside the text as its meta")
    format: Format = Field(default="auto", description=FORMAT)

    def documents(self, errors: Errors = "strict") -> Iterator[Document]:
        for path in self.files():
            reader = RowReader(self.format, self.column, self.keep, partial(self.lengths, path, errors))
            for number, row in self.rows(path, errors):
                yield reader.document(row, f"{path}:{number}")

    def details(self, files: Sequence[Path]) -> str:
        kinds: Counter[str] = Counter()
        for path in files[:MOST_DESCRIBED]:
            with suppress(DataError):  # reported with its place when the file is read
                columns = next((row for _, row in self.rows(path, "replace")), {})
                kinds[described(columns, self.column, self.format)] += 1
        return "".join(f", {kind}{counted(kinds, kind)}" for kind in kinds if kind)

    def lengths(self, path: Path, errors: Errors, row: Mapping[str, Any]) -> dict[str, float]:
        """Return the mean characters of text in each column of `row`, over the file's first rows; 0 for a column
        without text."""
        rows: list[Mapping[str, Any]] = []
        with suppress(DataError):  # the missing column is the error to report, not an unreadable later row
            for _, other in islice(self.rows(path, errors), FIRST_ROWS):
                rows.append(other)
        return mean_lengths(row, rows)

    def rows(self, path: Path, errors: Errors) -> Iterator[tuple[int, Mapping[str, Any]]]:
        """Yield (row number from 1, values by column) of one file."""
        raise NotImplementedError


@contextmanager
def _json(name: str) -> Iterator[None]:
    """Turn the errors of `json` on a row into a DataError that names the row. The row may be no JSON, hold a number of
    thousands of digits, or nest lists too deeply."""
    try:
        yield
    except JSONDecodeError as error:
        raise DataError(f"{name} is not JSON: {error.msg} at column {error.colno}") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{name} cannot be read as JSON: {str(error).partition(';')[0]}", "leave the row out") from None


@SOURCES.add("jsonl")
class Jsonl(Table):
    """JSON Lines: one JSON object a line."""

    kind: Literal["jsonl"] = "jsonl"
    suffixes: ClassVar[tuple[str, ...]] = (".jsonl", ".ndjson")

    def rows(self, path: Path, errors: Errors) -> Iterator[tuple[int, Mapping[str, Any]]]:
        for number, line in lines(path, errors):
            if line.isspace():
                continue
            with _json(f"{path}:{number}"):
                row = json.loads(line)
            if not isinstance(row, dict):
                raise DataError(
                    f"{path}:{number} is a JSON {type(row).__name__}, not an object",
                    'each line is to be an object such as {"text": "Once upon a time ..."}',
                )
            yield number, row


@SOURCES.add("csv")
class Csv(Table):
    """CSV with a header line, and TSV."""

    kind: Literal["csv"] = "csv"
    delimiter: str | None = Field(
        default=None,
        min_length=1,
        max_length=1,
        description="the character between two fields; null: a tab in .tsv files, a comma in others",
    )
    suffixes: ClassVar[tuple[str, ...]] = (".csv", ".tsv")

    def rows(self, path: Path, errors: Errors) -> Iterator[tuple[int, Mapping[str, Any]]]:
        csv.field_size_limit(MAX_DOCUMENT_CHARACTERS)
        delimiter = self.delimiter or ("\t" if ".tsv" in path.suffixes else ",")
        source = _Record(lines(path, errors), delimiter)
        reader = csv.DictReader(source, delimiter=delimiter)
        number = 0
        try:
            for number, row in enumerate(reader, start=1):
                source.check(path)
                if None in row or None in row.values():
                    raise DataError(
                        f"{path}:{number}: the row has {'more' if None in row else 'fewer'} fields than the header",
                        "quote fields that hold the delimiter, or name it: 'data.sources.0.delimiter=;'",
                    )
                yield number, row
        except csv.Error as error:
            source.ended = True
            source.check(path)
            raise DataError(f"{path}:{number + 1}: {error}", "quote fields that span lines") from None


class _Record:
    """The lines that `csv` reads for one record. They are counted, so that a quote that is never closed can be
    found."""

    def __init__(self, numbered: Iterator[tuple[int, str]], delimiter: str):
        self.numbered, self.delimiter = numbered, delimiter
        self.held: list[tuple[int, str]] = []
        self.ended = False

    def __iter__(self) -> Iterator[str]:
        for number, line in self.numbered:
            self.held.append((number, line))
            yield line
        self.ended = True

    def check(self, path: Path) -> None:
        """Check a record after it is read. Raises DataError where it is the file's last record and ends inside a
        quote."""
        held, self.held = self.held, []
        if not self.ended:
            return
        try:
            list(csv.reader((line for _, line in held), delimiter=self.delimiter, strict=True))
        except csv.Error as error:
            if "unexpected end of data" not in str(error) and "field limit" not in str(error):
                return
            odd, opened = False, held[0][0]
            for number, line in held:
                if line.count('"') % 2:
                    odd, opened = not odd, opened if odd else number
            raise DataError(
                f"{path}:{opened}: a quote opens in this line and is never closed",
                'close it, or write a quote that belongs to the text twice ("") in a quoted field',
            ) from None


@SOURCES.add("tinystories_json")
class TinyStoriesJson(Table):
    """Files that hold one JSON list. Its entries are objects with a "story", as in llama2.c's `TinyStories_all_data`,
    or with a "text", or strings."""

    kind: Literal["tinystories_json"] = "tinystories_json"
    column: str = Field(default="story", description="the key that holds the text; story: or text, where it is absent")
    suffixes: ClassVar[tuple[str, ...]] = (".json",)

    def rows(self, path: Path, errors: Errors) -> Iterator[tuple[int, Mapping[str, Any]]]:
        for number, row in enumerate(_list_entries(path, errors), start=1):
            if isinstance(row, str):
                row = {self.column: row}
            if not isinstance(row, dict):
                raise DataError(
                    f"{path}:{number}: the list holds a {type(row).__name__}",
                    'the list is to hold texts, or objects such as {"story": "Once upon a time ..."}',
                )
            if self.column == "story" and "story" not in row and isinstance(row.get("text"), str):
                row = {**row, "story": row["text"]}
            yield number, row


def _list_entries(path: Path, errors: Errors) -> Iterator[Any]:
    """Yield the entries of a file that is one JSON list, one by one, so that a file of any size can be read."""
    decoder, rest, begun, ended, number = JSONDecoder(), "", False, False, 0
    for block in text_blocks(path, errors):
        rest = (rest + block).lstrip(WHITE)
        if not begun:
            if not rest:
                continue
            if rest[0] != "[":
                raise DataError(f"{path} is not a JSON list", "read a file with one object a line as kind: jsonl")
            rest, begun = rest[1:], True
        position = 0
        while not ended:
            position = _skip(rest, position)
            if rest[position : position + 1] == "]":
                ended = True
                break
            try:
                entry, position = decoder.raw_decode(rest, position)
            except JSONDecodeError:
                break  # the entry continues in the next block, or the file is damaged, which is found at its end
            except (ValueError, RecursionError) as error:
                with _json(f"{path}:{number + 1}"):
                    raise error
            number += 1
            yield entry
        rest = rest[position:]
        if len(rest) > 2 * MAX_DOCUMENT_CHARACTERS:
            raise DataError(
                f"{path}: an entry of the list is longer than {MAX_DOCUMENT_CHARACTERS:,} characters, or broken"
            )
    if not ended:
        raise DataError(f"{path} ends in the middle of its JSON list", "copy or download it again")


def _skip(text: str, position: int) -> int:
    """Return the next position that holds neither white space nor a comma."""
    while position < len(text) and text[position] in WHITE + ",":
        position += 1
    return position
