"""A curation step: no document with a link."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from lilliput.data.document import Document
from lilliput.data.steps import STEPS, Dropped, Step


@STEPS.add("no_links")
class NoLinks(Step):
    """Drops documents with too many links."""

    kind: Literal["no_links"] = "no_links"
    most: int = Field(default=0, ge=0, description="links of a document that is kept at most")

    def apply(self, document: Document) -> Document | Dropped:
        return Dropped("links") if document.text.count("http") > self.most else document
