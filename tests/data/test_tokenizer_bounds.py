"""Tokenizer files of others: patterns that may take for ever, ids without end, parts that are not there."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer as Backend
from tokenizers import models

from lilliput.base.errors import DataError, FileError
from lilliput.data.patterns import LLAMA3, QWEN2, WORDS
from lilliput.data.tokenizer import Tokenizer
from lilliput.data.tokenizer_bounds import check_pattern

PUBLISHED = [
    QWEN2,
    LLAMA3,
    WORDS,
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{M}]*[\p{Ll}\p{M}]+(?i:'s|'t)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+",
    r"\d{1,3}(?=(?:\d{3})*\b)",
    r"[\p{Han}]+|[^\r\n\p{L}]?[\p{Lu}&&[^\p{Han}]]*[\p{Ll}&&[^\p{Han}]]+",
    r" ?[^(\s|[.,!?…。，、।۔،])]+",
]
BOMBS = [
    r"(a+)+$",
    r"(a|a)*b",
    r"(?:a?){30}a{30}",
    r"((a{1000}){1000}){1000}",
    r"a{1000}{1000}",
    r"(a)\1",
    r"a*a*a*a*b",
    r"(?<n>a)\k<n>",
    "x" * 6000,
]


@pytest.mark.parametrize("pattern", PUBLISHED)
def test_published_patterns_are_taken(pattern: str) -> None:
    check_pattern(pattern)


@pytest.mark.parametrize("pattern", BOMBS)
def test_patterns_that_may_take_for_ever_are_refused(pattern: str, tmp_path: Path) -> None:
    with pytest.raises(FileError, match="regular expression"):
        check_pattern(pattern)
    split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    content = spec(pre_tokenizer={"type": "Sequence", "pretokenizers": [split]})
    with pytest.raises(DataError, match="regular expression"):
        Tokenizer(content)


def spec(**changes: Any) -> str:
    """The text of a small tokenizer.json with other parts; None takes one out."""
    backend = Backend(models.BPE(vocab={"a": 0, "b": 1}, merges=[]))
    backend.add_special_tokens(["<s>"])
    values = {**json.loads(backend.to_str()), **changes}
    return json.dumps({key: value for key, value in values.items() if value != "absent"})


def test_parts_that_are_not_there_are_those_of_the_library() -> None:
    parts = ("normalizer", "pre_tokenizer", "decoder", "post_processor")
    bare = Tokenizer(spec(**dict.fromkeys(parts, "absent")))
    assert bare.sha256 == Tokenizer(Backend.from_str(spec()).to_str(pretty=True)).sha256
    assert list(bare.encode("ab")) == [0, 1]


@pytest.mark.parametrize(
    "changes",
    [
        {"model": "absent"},
        {"model": []},
        {"added_tokens": {}},
        {"added_tokens": [3]},
        {"model": {"type": "BPE", "vocab": {"a": 4_000_000_000}, "merges": []}},
        {"model": {"type": "BPE", "vocab": {"a": -1}, "merges": []}},
        {"model": {"type": "BPE", "vocab": {"a": "x"}, "merges": []}},
        {"model": {"type": "BPE", "vocab": [], "merges": []}},
        {"pre_tokenizer": 3},
    ],
)
def test_a_tokenizer_without_sense_is_one_line(changes: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text(spec(**changes))
    with pytest.raises(DataError):
        Tokenizer.load(tmp_path)


def test_a_piece_of_negative_length_does_not_loop(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.bin").write_bytes(struct.pack("<ifi", 5, 0.0, -8) + b"x" * 100)
    with pytest.raises(DataError, match=r"not a llama2\.c tokenizer"):
        Tokenizer.load(tmp_path / "tokenizer.bin")


@pytest.mark.parametrize("data", [b"\x80" * 500_000, b"\x0a\xff\xff\xff\xff\x7f", b"\x0b" * 100, b"\x0a"])
def test_a_sentencepiece_model_with_endless_numbers_is_refused(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.model").write_bytes(data)
    with pytest.raises(DataError, match="not a SentencePiece model"):
        Tokenizer.load(tmp_path / "tokenizer.model")


def test_a_piece_of_a_million_characters_is_refused(tmp_path: Path) -> None:
    piece = b"a" * 500_000
    (tmp_path / "tokenizer.bin").write_bytes(struct.pack("<ifi", 5, 0.0, len(piece)) + piece)
    with pytest.raises(DataError, match="a piece of 500,000 characters"):
        Tokenizer.load(tmp_path / "tokenizer.bin")
