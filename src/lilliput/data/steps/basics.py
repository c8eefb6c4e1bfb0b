"""Basic steps: Unicode composition and line ends, and the length of documents."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from typing import Literal

from pydantic import Field

from lilliput.data.document import Document
from lilliput.data.steps.step import STEPS, Dropped, Step


def normalised(text: str) -> str:
    r"""Return the text in Unicode NFC, with every line end (\r\n, \r) as \n."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return unicodedata.normalize("NFC", text)


@STEPS.add("normalise")
class Normalise(Step):
    r"""Composes characters (Unicode NFC: e + combining acute becomes é) and makes every line end \n; the default.
    Documents that came as tokens stay as they are."""

    kind: Literal["normalise"] = "normalise"

    def apply(self, document: Document) -> Document | Dropped:
        if document.tokens is not None:
            return document
        text = normalised(document.text)
        return document if text == document.text else replace(document, text=text)


@STEPS.add("length")
class Length(Step):
    """Drops documents of too few or too many words (pieces between white space)."""

    kind: Literal["length"] = "length"
    min_words: int = Field(default=0, ge=0, description="words of the shortest document that is kept")
    max_words: int | None = Field(default=None, gt=0, description="words of the longest document that is kept")

    def apply(self, document: Document) -> Document | Dropped:
        words = len(document.text.split())
        if words < self.min_words:
            return Dropped(f"fewer than {self.min_words:,} words")
        if self.max_words is not None and words > self.max_words:
            return Dropped(f"more than {self.max_words:,} words")
        return document
