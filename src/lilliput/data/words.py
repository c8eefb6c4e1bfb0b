"""Words: join the ids of a text from the ids of its words, each of which is encoded only once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import cast

import numpy as np

# A text of natural language repeats its words, and looking them up is several times as fast as splitting and merging.
# The limits bound the memory of the table to about 100 MB, also for text whose words never repeat.
MOST_WORDS = 2**19
LONGEST_WORD = 40
GROUP_CHARACTERS = 2**19
"""Texts are grouped up to this size, so that their new words are encoded together."""
PIECES, PIECE_WORDS = 8, 2**10
"""New words are encoded in this many pieces at once, which the tokenizer shares out among the cores."""
WHITE_BEFORE_SPACE = re.compile(r"\s ")

Encode = Callable[[Sequence[str]], list[np.ndarray]]


class Words:
    """A table of words and their ids. Threads may share it.

    `encode(pieces)` gives the ids, (length,) uint32, of each piece of text. `opens`, (vocabulary size,) bool, is true
    for ids whose text begins with a space. The tokenizer must always split text before a space that follows another
    character, and its merges must not depend on text beyond this boundary. This holds for each of patterns.PATTERNS,
    and for patterns.WORDS.

    Example: "a cat sat" is split at spaces, and its ids are the joined ids of "a", " cat" and " sat".
    """

    def __init__(self, encode: Encode, opens: np.ndarray):
        self._encode, self._opens = encode, opens
        # Ids (uint32, as bytes) by word. The key of a word after a space is the word alone. The key of a text's first
        # word has a space before it; no other key holds a space. "a cat" has the keys " a" and "cat".
        self._known: dict[str, bytes] = {" ": b""}

    def ids(self, texts: Sequence[str]) -> list[np.ndarray | None]:
        """Return the ids of each text, (length,) uint32. They are None for a text with white space before a space,
        because a token may span both."""
        return [ids for group in _groups(texts) for ids in self._ids(group)]

    def _ids(self, texts: Sequence[str]) -> list[np.ndarray | None]:
        known = self._known
        found: list[bytes | None] = []
        new: dict[str, bytes] = {}
        waiting: list[tuple[int, list[bytes | None], list[tuple[int, str]]]] = []
        for number, text in enumerate(texts):
            keys = text.split(" ")
            keys[0] = f" {keys[0]}"
            ids = list(map(known.get, keys))
            try:
                found.append(_joined(ids))
            except TypeError:
                found.append(None)
                missing = [(place, keys[place]) for place, one in enumerate(ids) if one is None]
                # Words that end in white space are never kept, so they are always among the missing.
                if all(_common(key) for _, key in missing) or not WHITE_BEFORE_SPACE.search(text):
                    waiting.append((number, ids, missing))
                    new.update((key, b"") for _, key in missing)
        self._ask(new)
        for number, ids, missing in waiting:
            for place, key in missing:
                ids[place] = new[key]
            found[number] = _joined(ids)
        return [None if ids is None else np.frombuffer(ids, np.uint32) for ids in found]

    def _ask(self, new: dict[str, bytes]) -> None:
        """Fill in the ids of new words, and keep the words that may come again."""
        common = [key for key in new if _common(key)]
        after_space = [key for key in common if key[0] != " "]
        for start in range(0, len(after_space), PIECES * PIECE_WORDS):
            new.update(self._together(after_space[start : start + PIECES * PIECE_WORDS]))
        alone = [key for key, ids in new.items() if not ids]
        new.update(zip(alone, (ids.tobytes() for ids in self._encode(list(map(_piece, alone)))), strict=True))
        self._known.update((key, new[key]) for key in common[: max(0, MOST_WORDS - len(self._known))])

    def _together(self, words: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        """Yield the ids of words that stand after a space, encoded in pieces of many words.

        Each id whose text begins with a space starts a word: " cat sat" with the ids 7 3 9, where 7 and 9 begin with a
        space, gives cat = 7 3 and sat = 9. Yields nothing where the vocabulary has no token that begins with a space
        and encodes the space in bytes."""
        pieces = list(map(_piece, words))
        encoded = self._encode(["".join(pieces[at : at + PIECE_WORDS]) for at in range(0, len(pieces), PIECE_WORDS)])
        ids = np.concatenate(encoded)
        starts = np.flatnonzero(self._opens[ids])
        if len(starts) != len(words):
            return iter(())
        data, bounds = ids.tobytes(), [*(starts * ids.itemsize).tolist(), ids.nbytes]
        return zip(words, (data[start:stop] for start, stop in pairwise(bounds)), strict=True)


def _joined(ids: list[bytes | None]) -> bytes:
    """Return the ids joined. Raises TypeError where an entry is None, which `join` finds faster than a loop."""
    return b"".join(cast("list[bytes]", ids))


def _common(key: str) -> bool:
    """Return whether a word may be kept: it is not too long, and has no white space at its end."""
    return len(key) <= LONGEST_WORD and not key[-1:].isspace() and key != ""


def _piece(key: str) -> str:
    """Return the text of a key of the table: "a" for " a", and " cat" for "cat"."""
    return key[1:] if key.startswith(" ") else f" {key}"


def _groups(texts: Sequence[str]) -> Iterator[list[str]]:
    """Yield texts in groups of about GROUP_CHARACTERS characters."""
    group, size = [], 0
    for text in texts:
        group.append(text)
        size += len(text)
        if size >= GROUP_CHARACTERS:
            yield group
            group, size = [], 0
    if group:
        yield group
