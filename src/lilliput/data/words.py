"""Words: the ids of a text put together from those of its words, each of which the tokenizer is asked for once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import cast

import numpy as np

# A text of natural language repeats its words: looking them up is several times as fast as splitting and merging anew.
# The limits bound the memory of the table to about 100 MB, for text whose words never come again.
MOST_WORDS = 2**19
LONGEST_WORD = 40
GROUP_CHARACTERS = 2**19
"""Texts of this size are looked at together, so that their new words can be asked for together."""
PIECES, PIECE_WORDS = 8, 2**10
"""New words are asked for in so many pieces at once, for the tokenizer to share out among the cores."""
WHITE_BEFORE_SPACE = re.compile(r"\s ")

Encode = Callable[[Sequence[str]], list[np.ndarray]]


class Words:
    """`encode(pieces)` gives the ids (uint32) of each piece of text; `opens`, (vocabulary size,) bool, says which stand
    for text that begins with a space. Usable with a tokenizer that always parts text between what is no white space and
    a space, and sees nothing beyond that boundary: each of patterns.PATTERNS, and patterns.WORDS. Threads may share it.
    """

    def __init__(self, encode: Encode, opens: np.ndarray):
        self._encode, self._opens = encode, opens
        # Ids (uint32) of words that stand after a space. The word that begins a text stands here with a space before
        # it, a sign that no word holds.
        self._known: dict[str, bytes] = {" ": b""}

    def ids(self, texts: Sequence[str]) -> list[np.ndarray | None]:
        """Ids (uint32) of each text; None for one with white space before a space, which may belong together."""
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
        """Fills in the ids of new words, and keeps those that may come again."""
        common = [key for key in new if _common(key)]
        after_space = [key for key in common if key[0] != " "]
        for start in range(0, len(after_space), PIECES * PIECE_WORDS):
            new.update(self._together(after_space[start : start + PIECES * PIECE_WORDS]))
        alone = [key for key, ids in new.items() if not ids]
        new.update(zip(alone, (ids.tobytes() for ids in self._encode(list(map(_piece, alone)))), strict=True))
        self._known.update((key, new[key]) for key in common[: max(0, MOST_WORDS - len(self._known))])

    def _together(self, words: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        """The ids of words that stand after a space, asked for in pieces of many: each id that opens with a space
        begins a word. Nothing where the vocabulary has no token for a space and spells it in bytes."""
        pieces = list(map(_piece, words))
        encoded = self._encode(["".join(pieces[at : at + PIECE_WORDS]) for at in range(0, len(pieces), PIECE_WORDS)])
        ids = np.concatenate(encoded)
        starts = np.flatnonzero(self._opens[ids])
        if len(starts) != len(words):
            return iter(())
        data, bounds = ids.tobytes(), [*(starts * ids.itemsize).tolist(), ids.nbytes]
        return zip(words, (data[start:stop] for start, stop in pairwise(bounds)), strict=True)


def _joined(ids: list[bytes | None]) -> bytes:
    """All of them; TypeError where one is None, which `join` finds faster than a loop."""
    return b"".join(cast("list[bytes]", ids))


def _common(key: str) -> bool:
    """Whether a word may be kept: not overlong, and without white space at its end."""
    return len(key) <= LONGEST_WORD and not key[-1:].isspace() and key != ""


def _piece(key: str) -> str:
    """The text that a key of the table stands for."""
    return key[1:] if key.startswith(" ") else f" {key}"


def _groups(texts: Sequence[str]) -> Iterator[list[str]]:
    """Texts in groups of about GROUP_CHARACTERS."""
    group, size = [], 0
    for text in texts:
        group.append(text)
        size += len(text)
        if size >= GROUP_CHARACTERS:
            yield group
            group, size = [], 0
    if group:
        yield group
