"""WARC files as a source: the pages of a web crawl, as Common Crawl publishes them, and WET files of their text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, ClassVar, Literal

from pydantic import Field

from lilliput.base.errors import MissingExtra
from lilliput.base.reading import open_regular
from lilliput.data.document import Document
from lilliput.data.files import FileSource, reading
from lilliput.data.source import MAX_DOCUMENT_CHARACTERS, SOURCES, Errors

CHARSET = re.compile(rb"""charset=["']?\s*([A-Za-z0-9_.:-]{2,40})""", re.IGNORECASE)
HEAD_BYTES = 2048
"""A page names its encoding within so many bytes."""
HTML = ("text/html", "application/xhtml+xml")


@SOURCES.add("warc")
class Warc(FileSource):
    """WARC and WET files, packed or not, a document for each page with a text. Its meta holds `url` and `date`. Needs
    the extra `curation`. A document's id is `FILE#record`, counted from 0."""

    kind: Literal["warc"] = "warc"
    pages: Literal["main_text", "html"] = Field(
        default="main_text", description="main_text: the text without menus and notices (trafilatura); html: the page"
    )
    max_bytes: int = Field(default=2_000_000, gt=0, description="larger pages are left out")

    suffixes: ClassVar[tuple[str, ...]] = (".warc", ".wet")

    def documents(self, errors: Errors = "strict") -> Iterator[Document]:
        try:
            from warcio.archiveiterator import ArchiveIterator
            from warcio.exceptions import ArchiveLoadFailed
        except ImportError:
            raise MissingExtra("warcio", "curation", "reading WARC files") from None
        for path in self.files():
            with reading(path), open_regular(path) as file:
                try:
                    for number, record in enumerate(ArchiveIterator(file)):
                        document = self._document(record, f"{path}#{number}")
                        if document is not None:
                            yield document
                except ArchiveLoadFailed as error:
                    raise EOFError(str(error)) from None

    def _document(self, record: Any, name: str) -> Document | None:
        """Return the text of a record; None for a record that is no page, and for a page without a text."""
        headers = record.rec_headers
        content = str((record.http_headers or headers).get_header("Content-Type") or "").partition(";")[0].lower()
        is_text = record.rec_type == "conversion" or (record.rec_type == "response" and content == "text/plain")
        if not is_text and not (record.rec_type == "response" and content in HTML):
            return None
        raw = record.content_stream().read(self.max_bytes + 1)
        if len(raw) > self.max_bytes:
            return None
        declared = str((record.http_headers or headers).get_header("Content-Type") or "").encode()
        text = decoded(raw, declared)
        if not is_text and self.pages == "main_text":
            text = _main_text(text)
        if not text or len(text) > MAX_DOCUMENT_CHARACTERS:
            return None
        url = headers.get_header("WARC-Target-URI")
        return Document(text, name, {"url": url, "date": headers.get_header("WARC-Date")})


def decoded(raw: bytes, declared: bytes) -> str:
    """Return the text of a page by the encoding that its header or its beginning names, else UTF-8, else Windows-1252,
    which gives each byte a character."""
    for place in (declared, raw[:HEAD_BYTES]):
        if found := CHARSET.search(place):
            try:
                return raw.decode(found[1].decode())
            except (LookupError, UnicodeError):
                continue  # a wrong name: the next is tried
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace")


def _main_text(page: str) -> str:
    from lilliput.data.steps.markup import main_text

    return main_text(page) or ""
