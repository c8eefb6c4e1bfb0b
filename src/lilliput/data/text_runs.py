"""Texts in parts that a tokenizer encodes apart: special texts among others, bytes that are not UTF-8 among text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from lilliput.base.errors import DataError


def partly(
    texts: Sequence[str],
    special: Callable[[str], bool],
    one: Callable[[str], np.ndarray],
    many: Callable[[Sequence[str]], list[np.ndarray]],
) -> list[np.ndarray]:
    """Return the ids of each text: `one` encodes each `special` text, `many` encodes all other texts together."""
    flags = [special(text) for text in texts]
    rest = iter(many([text for text, flag in zip(texts, flags, strict=True) if not flag]))
    return [one(text) if flag else next(rest) for text, flag in zip(texts, flags, strict=True)]


def check_unicode(text: str) -> None:
    """Raise DataError for a text without a UTF-8 form (half a surrogate pair)."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise DataError(f"a text has no UTF-8 form: {error.reason} at character {error.start:,}") from None


def runs(data: bytes) -> Iterator[str | bytes]:
    """Split bytes into runs of text and runs that are not UTF-8."""
    start = 0
    while start < len(data):
        try:
            yield data[start:].decode()
            return
        except UnicodeDecodeError as error:
            if error.start:
                yield data[start : start + error.start].decode()
            yield data[start + error.start : start + error.end]
            start += error.end
