"""Source: the contract of everything that yields documents, and the registry that finds them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any, Literal

from pydantic import Field

from lilliput.base.config import Config
from lilliput.base.errors import DataError
from lilliput.base.registry import Registry
from lilliput.data.document import Document

Errors = Literal["strict", "replace"]

# One document has to fit in memory several times over (text, tokens): a clear error beats a machine out of memory.
MAX_DOCUMENT_CHARACTERS = 2**24


class Source(Config):
    """Where documents come from. Subclass in a file of `lilliput/data/`, give `kind` a Literal and register it:

    @SOURCES.add("lines")
    class Lines(Source):
        kind: Literal["lines"] = "lines"
        ...
    """

    kind: Any = None
    weight: float = Field(default=1.0, gt=0, description="share of this source's documents among all documents")

    def documents(self, errors: Errors = "strict") -> Iterator[Document]:
        """Every document in a fixed order, with memory bounded by one of them. A text of "" stands for a row that
        has none; it is counted and dropped later. Raises DataError for what cannot be read, and for bytes that are
        not UTF-8 unless `errors` is "replace"."""
        raise NotImplementedError

    def fingerprint(self) -> str:
        """Hex hash of what `documents` yields: of the content, never of dates. Raises DataError."""
        raise NotImplementedError

    def describe(self) -> str:
        """One line: what it is, how much there is of it, the first 12 digits of the fingerprint."""
        raise NotImplementedError


def documents_of(source: Source, number: int, errors: Errors = "strict") -> Iterator[Document]:
    """The documents of the source that is entry `number` (from 0) of `data.sources`. A source does not know its own
    place, so that the overrides which its errors suggest name entry 0; here they get the right one."""
    try:
        yield from source.documents(errors)
    except DataError as error:
        if error.hint and number:
            raise DataError(error.message, error.hint.replace("data.sources.0.", f"data.sources.{number}.")) from None
        raise


SOURCES: Registry[type[Source]] = Registry("data source", "lilliput.data")


def hash_of(*values: Any) -> str:
    """Hex BLAKE2b-256 of plain values."""
    text = json.dumps(values, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=32).hexdigest()
