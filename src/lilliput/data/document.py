"""Document: a text or a structured row, with its id. Every source yields them, and every curation step maps them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from lilliput.data.examples import Example
    from lilliput.data.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True, eq=False)
class Tokens:
    """The tokens of a document from a source of tokens: (length,) uint32 ids without the marks around a text, the
    tokenizer of these ids, and the number of bytes of their text."""

    ids: np.ndarray
    tokenizer: Tokenizer
    size: int


@dataclass(frozen=True, slots=True)
class Document:
    """A text. `id` names it so that a person can find it again (file and place, row number, story number). `meta` holds
    further values of the source (a plan, a title, a licence). `tokens` holds the document's tokens where its source
    holds tokens and not text; a run with the same tokenizer uses them unchanged. `example` is
    the structured row that the document is; `text` is then all of the row's text."""

    text: str
    id: str
    meta: dict[str, Any] = field(default_factory=dict)
    tokens: Tokens | None = None
    example: Example | None = None

    @property
    def kind(self) -> str:
        """Return "text", or the kind of the structured row."""
        return "text" if self.example is None else self.example.kind

    @property
    def size(self) -> int:
        """Return the UTF-8 bytes of the text."""
        return len(self.text.encode()) if self.tokens is None else self.tokens.size
