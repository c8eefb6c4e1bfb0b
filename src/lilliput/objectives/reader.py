"""Readers: the text of ids that come one at a time, in reading order, for both directions of a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lilliput.objectives.words import PIECES, WORD, reverse_words

if TYPE_CHECKING:
    from lilliput.data.tokenizer import Tokenizer


class Reader:
    """Text of a model that reads forwards: each piece follows those before it.

    characters  number of characters of the ids so far, shown or still held back

    A model may know more ids than its tokenizer, because its vocabulary was rounded up. Such ids have no text.
    """

    def __init__(self, tokenizer: Tokenizer, continuing: bool):
        self._stream, self._known = tokenizer.stream(continuing), tokenizer.vocab_size
        self.characters = 0

    def push(self, number: int) -> str:
        """The text that this id completes, spaces included; "" in the middle of a character."""
        return self._counted(self._stream.push(number)) if number < self._known else ""

    def flush(self) -> str:
        """Return the text that was held back, when no more ids come."""
        return self._counted(self._stream.flush())

    def _counted(self, text: str) -> str:
        self.characters += len(text)
        return text


class WordsBackwards(Reader):
    """Text of a model that generates words from the last to the first: each piece goes before the earlier pieces. A
    word, or a gap between words, is held back until the next word or gap begins."""

    def __init__(self, tokenizer: Tokenizer, continuing: bool):
        super().__init__(tokenizer, continuing)
        self._held = ""

    def push(self, number: int) -> str:
        text = self._held + super().push(number)
        *whole, last = filter(None, PIECES.split(text)) if text else [""]
        self._held = last
        return reverse_words("".join(whole))

    def flush(self) -> str:
        held, self._held = self._held, ""
        return reverse_words(held + super().flush())


class TokensBackwards(Reader):
    """Text of a model that generates tokens from the last to the first: each piece goes before the earlier pieces.
    Bytes that continue a character are held back until its first byte comes. With a SentencePiece-style tokenizer every
    piece is held back, because a text's first piece loses its space."""

    def __init__(self, tokenizer: Tokenizer, ending: str):
        super().__init__(tokenizer, continuing=True)
        self._tokenizer, self._held = tokenizer, b""
        self._first_loses_space = tokenizer.kind == "sentencepiece"
        self._gap = " " if WORD.match(ending) else ""

    def push(self, number: int) -> str:
        if number >= self._known:
            return ""
        ready, piece = b"", self._tokenizer.decode_bytes([number], continuing=True)
        if not piece:  # a special token: the text that is held back may still be the text's first piece
            return ""
        if self._first_loses_space and _begins_character(self._held):
            ready, self._held = self._held, piece
        else:
            self._held = piece + self._held
            if not self._first_loses_space and _begins_character(self._held):
                ready, self._held = self._held, b""
        return self._before_ending(ready)

    def flush(self) -> str:
        held, self._held = self._held, b""
        return self._before_ending(held.removeprefix(b" ") if self._first_loses_space else held)

    def _before_ending(self, data: bytes) -> str:
        if not data:
            return ""
        text, self._gap = data.decode("utf-8", errors="replace") + self._gap, ""
        return self._counted(text)


def _begins_character(data: bytes) -> bool:
    """Return whether the first byte begins a UTF-8 character."""
    return bool(data) and data[0] & 0xC0 != 0x80
