"""TokenStream: the text of ids that come one at a time."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lilliput.data.tokenizer import Tokenizer


class TokenStream:
    """Text of ids that come one at a time: what is complete so far, holding back the start of a UTF-8 character."""

    def __init__(self, tokenizer: Tokenizer, continuing: bool):
        self._tokenizer, self._continuing = tokenizer, continuing
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._ids: list[int] = []
        self._shown = 0

    def push(self, number: int) -> str:
        """The text that this id completes; often one word, "" in the middle of a character."""
        if self._tokenizer.kind == "other":
            # Such a tokenizer may join tokens in ways of its own: the whole text is decoded and the new end shown.
            self._ids.append(number)
            text = self._tokenizer.decode(self._ids, self._continuing).rstrip("\ufffd")
            new, self._shown = text[self._shown :], max(self._shown, len(text))
            return new
        data = self._tokenizer.decode_bytes([number], self._continuing)
        self._continuing = self._continuing or bool(self._tokenizer._pieces[number])
        return self._decoder.decode(data)

    def flush(self) -> str:
        """What was held back, as U+FFFD."""
        return self._decoder.decode(b"", final=True)
