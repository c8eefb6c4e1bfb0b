"""`lilliput wtac`: print the words of standard input in reverse order; applied twice, it prints the input."""

from __future__ import annotations

import sys


def wtac() -> None:
    """Reverse the words of standard input. echo 'butterfly in the sky.' | lilliput wtac prints .sky the in butterfly

    The final line break stays at the end, so that the filter applied twice prints its input."""
    from lilliput.objectives.words import reverse_words

    text = sys.stdin.buffer.read().decode("utf-8", "surrogateescape")
    body = text.removesuffix("\n")
    reversed_text = reverse_words(body) + text[len(body) :]
    sys.stdout.buffer.write(reversed_text.encode("utf-8", "surrogateescape"))
    sys.stdout.buffer.flush()
