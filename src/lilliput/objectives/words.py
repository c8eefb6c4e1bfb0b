"""Words in reverse order: the involution behind the reversed objective and `lilliput wtac`."""

from __future__ import annotations

import re

PIECES = re.compile(r"([\w\d']+|\.|\"|\?|\!|,)")
WORD = re.compile(r"[\w\d']")


def reverse_words(text: str) -> str:
    """The pieces of `text` (words, the marks . " ? ! and comma, and the gaps between them) in reverse order.

    An exact involution: two words are never neighbours without a mark or a gap between them, so the reversed text
    splits into the same pieces again.

    >>> reverse_words("butterfly in the sky.")
    '.sky the in butterfly'
    """
    return "".join(reversed(PIECES.split(text)))
