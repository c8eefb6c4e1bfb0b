"""Patterns that split text before byte pairs are merged: the published ones, and the SentencePiece-style words."""

from __future__ import annotations

from typing import Any

# The rules of Llama 3 (`llama-bpe` in llama.cpp) and Qwen 2 (`qwen2`), letter by letter: other tools recognise a
# tokenizer file only when its pattern is exactly one of these. They differ in the number of digits in a piece.
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
# GPT-2's own pattern is built into the byte-level pre-tokenizer of `tokenizers` (use_regex).
PATTERNS: dict[str, str | None] = {"qwen2": QWEN2, "llama-bpe": LLAMA3, "gpt-2": None}

# The space mark of SentencePiece, U+2581.
MARK = "\u2581"
# A piece is a word of letters or of signs, with at most one space mark before it; digits and newlines stand alone.
# Whether the text is split between two neighbours depends on these two characters only, so no learned piece holds such
# a boundary. Merging without this split, as llama2.c does, therefore gives the same pieces.
WORDS = rf"{MARK}?[\p{{L}}\p{{M}}]+|{MARK}?[^\p{{L}}\p{{M}}\p{{N}}{MARK}\n]+|\p{{N}}|\n|{MARK}"


def byte_level(pattern: str) -> Any:
    """Return the `tokenizers` pre-tokenizer of a named pattern, with bytes as printable characters."""
    from tokenizers import Regex
    from tokenizers.pre_tokenizers import ByteLevel, Sequence, Split

    rule = PATTERNS[pattern]
    if rule is None:
        return ByteLevel(add_prefix_space=False, use_regex=True)
    return Sequence([Split(Regex(rule), "isolated"), ByteLevel(add_prefix_space=False, use_regex=False)])


def words() -> Any:
    """Return the `tokenizers` pre-tokenizer of the SentencePiece-style kind, for text with marks for spaces."""
    from tokenizers import Regex
    from tokenizers.pre_tokenizers import Split

    return Split(Regex(WORDS), "isolated")


def byte_characters() -> dict[str, int]:
    """Return the byte of each printable character of byte-level BPE: GPT-2's table, inverted."""
    plain = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    moved = [byte for byte in range(256) if byte not in plain]
    table = {chr(byte): byte for byte in plain}
    return table | {chr(256 + place): byte for place, byte in enumerate(moved)}
