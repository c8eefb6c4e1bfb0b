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

# A document has to fit in memory several times (text, tokens), so a clear error comes before the machine has no memory.
MAX_DOCUMENT_CHARACTERS = 2**24


class Source(Config):
    """A source of documents. Subclass it in a file of `lilliput/data/`, give `kind` a Literal and register it:

    @SOURCES.add("lines")
    class Lines(Source):
        kind: Literal["lines"] = "lines"
        ...
    """

    kind: Any = None
    weight: float = Field(default=1.0, gt=0, description="share of this source's documents among all documents")
    profile: Literal["none", "auto", "web", "simple", "stories", "books", "code"] = Field(
        default="none",
        description="steps for this source alone, before data.steps; auto: chosen by the source's first documents",
    )

    def documents(self, errors: Errors = "strict") -> Iterator[Document]:
        """Yield every document in a fixed order, with memory bounded by one document. A row without a text yields the
        text ""; it is counted and dropped later. Raises DataError for a file that cannot be read, and for bytes that
        are not UTF-8 unless `errors` is "replace"."""
        raise NotImplementedError

    def fingerprint(self) -> str:
        """Return the hex hash of the documents' content, never of dates. Raises DataError."""
        raise NotImplementedError

    def describe(self) -> str:
        """Return one line: the kind of source, its amount of data, the first 12 digits of the fingerprint."""
        raise NotImplementedError


def documents_of(source: Source, number: int, errors: Errors = "strict") -> Iterator[Document]:
    """Yield the documents of the source that is entry `number` (from 0) of `data.sources`. A source does not know its
    own place, so the overrides that its errors suggest name entry 0. This function puts in the right number."""
    try:
        yield from source.documents(errors)
    except DataError as error:
        if error.hint and number:
            raise DataError(error.message, error.hint.replace("data.sources.0.", f"data.sources.{number}.")) from None
        raise


SOURCES: Registry[type[Source]] = Registry("data source", "lilliput.data")


def hash_of(*values: Any) -> str:
    """Return the hex BLAKE2b-256 hash of plain values."""
    text = json.dumps(values, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=32).hexdigest()
