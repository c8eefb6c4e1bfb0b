"""Curation steps: the changes to a document between its source and the tokenizer. No other code rewrites text."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, replace
from typing import Any, Literal

from pydantic import Field

from lilliput.base.config import Config
from lilliput.base.registry import Registry
from lilliput.data.document import Document


@dataclass(frozen=True, slots=True)
class Dropped:
    """A document that a step drops. `reason` is a key of the manifest's counts, so it names no single document."""

    reason: str


class Step(Config):
    """A curation step. Subclass it, give `kind` a Literal, and register it with @STEPS.add(NAME)."""

    kind: Any = None

    def apply(self, document: Document) -> Document | Dropped:
        """Return the document, a changed document, or the reason to drop it. The result depends on the document
        alone. A step needs no rule for examples (see `applied`)."""
        raise NotImplementedError


def applied(step: Step, document: Document) -> Document | Dropped:
    """Apply a step to a document. Of an example, the whole text decides whether the example is dropped, and each text
    is changed by itself, so that no text moves from one part to another."""
    outcome = step.apply(document)
    if document.example is None or isinstance(outcome, Dropped) or outcome.example is not document.example:
        return outcome

    def change(text: str) -> str:
        part = step.apply(replace(document, text=text, example=None))
        return text if isinstance(part, Dropped) else part.text

    example = document.example.mapped(change)
    return replace(outcome, text=example.text, example=example)


STEPS: Registry[type[Step]] = Registry("curation step", "lilliput.data")


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
