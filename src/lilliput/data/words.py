"""Words: the ids of a text put together from those of its words, each of which the tokenizer is asked for once."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

# A text of natural language repeats its words: looking them up is 3 to 7 times as fast as splitting and merging anew.
# The limits bound the memory of the tables to about 100 MB, for text whose words never come again.
MOST_WORDS = 2**19
LONGEST_WORD = 40
WHITE_BEFORE_SPACE = re.compile(r"\s ")


class Words:
    """`encode(piece)` gives the ids of a piece of text. Usable with a tokenizer that always parts text between what is
    no white space and a space, and sees nothing beyond that boundary: each of patterns.PATTERNS, and patterns.WORDS."""

    def __init__(self, encode: Callable[[str], list[int]]):
        self._first = _Table(encode, "")
        self._others = _Table(encode, " ")

    def ids(self, text: str) -> list[int] | None:
        """Ids of the text; None for one with white space before a space, which may belong together."""
        if WHITE_BEFORE_SPACE.search(text):
            return None
        first, *others = text.split(" ")
        found = b"".join([self._first[first], *map(self._others.__getitem__, others)])
        return np.frombuffer(found, np.uint32).tolist()


class _Table(dict[str, bytes]):
    """Ids (uint32) of words that stand after `before`: a space, or nothing."""

    def __init__(self, encode: Callable[[str], list[int]], before: str):
        super().__init__()
        self._encode, self._before = encode, before

    def __missing__(self, word: str) -> bytes:
        ids = np.array(self._encode(self._before + word), np.uint32).tobytes()
        if len(word) <= LONGEST_WORD and len(self) < MOST_WORDS:
            self[word] = ids
        return ids
