"""Rows of a table as a source: each row, or all rows of an entity, as the tokens of a fitted table."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from lilliput.base.errors import DataError
from lilliput.data.columns.reading import joined, read_batches, table_files
from lilliput.data.columns.relations import read_related
from lilliput.data.columns.sequences import entities, single_rows
from lilliput.data.columns.table import TableCodec
from lilliput.data.document import Document, Tokens
from lilliput.data.files import digest
from lilliput.data.source import SOURCES, Errors, Source, hash_of
from lilliput.data.tokenizer import Tokenizer
from lilliput.data.tokenizer_files import find


@SOURCES.add("table")
class TableRows(Source):
    """CSV or Parquet files, by a codec and a tokenizer that were fitted to them (`lilliput tables train`).

    A document is a row, or the rows of an entity in the order of their time. Its tokens are the codec's. Its text, by
    which equal documents fall into one split, is never learned."""

    kind: Literal["table"] = "table"
    paths: tuple[str, ...] = Field(min_length=1, description="CSV, TSV or Parquet files, globs and folders")
    parents: tuple[str, ...] = Field(
        default=(), description="files of the parent table, whose rows the rows of `paths` name by a key"
    )
    codec: str = Field(description="the file or folder of the fitted table")
    tokenizer: str = Field(description="the table's tokenizer: a file or folder")
    most_tokens: int = Field(default=512, ge=8, description="tokens of a document of an entity; longer ones go on")

    def documents(self, errors: Errors = "strict") -> Iterator[Document]:
        codec, tokenizer = TableCodec.load(self.codec), Tokenizer.load(self.tokenizer)
        layout, table = codec.layout(tokenizer), codec.table
        batches = read_batches(self.paths, {name: table.columns[name].missing for name in table.read})
        if layout.sequences:
            # Rows of an entity may stand anywhere, so the table is held in memory.
            columns, childless = (
                read_related(table, self.paths, self.parents) if table.parent else (joined(batches), None)
            )
            made = entities(layout, columns, self.most_tokens, childless)
            for number, (owner, text, ids) in enumerate(made):
                yield _document(text, f"{self.paths[0]}#{owner or number}", ids, tokenizer)
            return
        number = 0
        for columns in batches:
            for text, ids in single_rows(layout, columns):
                number += 1
                yield _document(text, f"{self.paths[0]}:{number}", ids, tokenizer)

    def fingerprint(self) -> str:
        codec = Path(self.codec)
        codec = codec / "table.json" if codec.is_dir() else codec
        if not codec.is_file():
            raise DataError(f"there is no fitted table {codec}", "make one: lilliput tables train FILE")
        files = [(path.name, digest(path)) for path in table_files((*self.paths, *self.parents))]
        return hash_of("table", digest(codec), digest(find(Path(self.tokenizer))), self.most_tokens, files)

    def describe(self) -> str:
        files = table_files(self.paths)
        size = sum(path.stat().st_size for path in files)
        name = str(files[0]) if len(files) == 1 else f"{len(files):,} files"
        return f"table: {name}, {size / 1e6:,.1f} MB · {self.fingerprint()[:12]}"


def _document(text: str, name: str, ids: np.ndarray, tokenizer: Tokenizer) -> Document:
    return Document(text, name, tokens=Tokens(ids.astype(np.uint32), tokenizer, len(text.encode())))
