"""Document: what every source yields and every curation step maps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from lilliput.data.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True, eq=False)
class Tokens:
    """The tokens that a document came as: (length,) uint32 ids without the marks around a text, the tokenizer that they
    are of, and how many bytes of text they stand for."""

    ids: np.ndarray
    tokenizer: Tokenizer
    size: int


@dataclass(frozen=True, slots=True)
class Document:
    """One text. `id` names it so that a person can find it again (file and place, row number, story number);
    `meta` is what the source knows of it beyond the text (a plan, a title, a licence). `tokens` is what it came as,
    where its source holds tokens and not text; a run with their tokenizer takes them as they are."""

    text: str
    id: str
    meta: dict[str, Any] = field(default_factory=dict)
    tokens: Tokens | None = None

    @property
    def size(self) -> int:
        """UTF-8 bytes of the text."""
        return len(self.text.encode()) if self.tokens is None else self.tokens.size
