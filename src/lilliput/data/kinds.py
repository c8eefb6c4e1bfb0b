"""Kinds of tokenizers, by the parts of their tokenizer.json."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from lilliput.data.characters import are_characters
from lilliput.data.patterns import MARK

Kind = Literal["bpe", "sentencepiece", "characters", "other"]


def kind_of(spec: Mapping[str, Any]) -> Kind:
    """Return the kind of tokenizer that a tokenizer.json describes, by its parts."""
    if are_characters(spec):
        return "characters"
    if spec["model"].get("type") != "BPE":
        return "other"
    if "ByteLevel" in _types(spec["pre_tokenizer"]) and "Metaspace" not in _types(spec["pre_tokenizer"]):
        return "bpe"
    # Such a tokenizer also puts a mark for a space after every added token, which our own encoding does not do.
    plain = all(token["special"] for token in spec["added_tokens"])
    return "sentencepiece" if plain and marks_spaces(spec) else "other"


def marks_spaces(spec: Mapping[str, Any]) -> bool:
    """Return whether the tokenizer has SentencePiece's style: BPE with byte fallback, over text with a mark for each
    space and a further mark before the text."""
    normalizers = (spec["normalizer"] or {}).get("normalizers", [])
    marks = [{"type": "Prepend", "prepend": MARK}, {"type": "Replace", "pattern": {"String": " "}, "content": MARK}]
    return spec["model"].get("type") == "BPE" and normalizers == marks and bool(spec["model"].get("byte_fallback"))


def _types(part: Any) -> set[str]:
    """Return the types of a pre-tokenizer and of the pre-tokenizers inside it."""
    if not part:
        return set()
    return {part["type"]}.union(*(_types(inner) for inner in part.get("pretokenizers", [])))
