"""A data source: the sections of a Markdown file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import Field

from lilliput.data.document import Document
from lilliput.data.files import digest, text_blocks
from lilliput.data.source import SOURCES, Errors, Source, hash_of


@SOURCES.add("sections")
class Sections(Source):
    """A Markdown file, cut into documents at its headings. Ids are `FILE#number`, counted from 0."""

    kind: Literal["sections"] = "sections"
    path: str = Field(description="the Markdown file")

    def documents(self, errors: Errors = "strict") -> Iterator[Document]:
        text = "".join(text_blocks(Path(self.path), errors))
        sections = filter(None, map(str.strip, re.split(r"^#+ .*$", text, flags=re.MULTILINE)))
        for number, section in enumerate(sections):
            yield Document(section, f"{self.path}#{number}")

    def fingerprint(self) -> str:
        return hash_of("sections", digest(Path(self.path)))

    def describe(self) -> str:
        return f"sections: {self.path} · {self.fingerprint()[:12]}"
