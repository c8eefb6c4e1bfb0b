"""The reward of both sides of finetune.py's GRPO: the share of a completion's letters that are vowels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

VOWELS = frozenset("aeiou")


def vowels(completions: Sequence[str], **further: Any) -> list[float]:
    """One number of each completion, 0 to 1."""
    return [sum(letter in VOWELS for letter in text) / max(1, len(text)) for text in completions]
