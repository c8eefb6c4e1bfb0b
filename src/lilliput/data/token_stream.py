"""TokenStream: decode ids that come one at a time."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lilliput.data.tokenizer import Tokenizer


class TokenStream:
    """A decoder of ids that come one at a time. It holds back the bytes of a UTF-8 character until it is complete."""

    def __init__(self, tokenizer: Tokenizer, continuing: bool):
        self._tokenizer, self._continuing = tokenizer, continuing
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._ids: list[int] = []
        self._shown = 0

    def push(self, number: int) -> str:
        """Return the text that this id completes: often a word, and "" in the middle of a character."""
        if self._tokenizer.kind == "other":
            # A tokenizer of kind "other" may join tokens in its own way, so the whole text is decoded each time, and
            # the new end is returned.
            self._ids.append(number)
            text = self._tokenizer.decode(self._ids, self._continuing).rstrip("\ufffd")
            new, self._shown = text[self._shown :], max(self._shown, len(text))
            return new
        data = self._tokenizer.decode_bytes([number], self._continuing)
        self._continuing = self._continuing or bool(self._tokenizer._pieces[number])
        return self._decoder.decode(data)

    def flush(self) -> str:
        """Return the bytes that were held back, as U+FFFD."""
        return self._decoder.decode(b"", final=True)
