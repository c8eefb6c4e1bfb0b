"""llama2.c's tokenizer.bin: the vocabularies that it can store, their order, and writing it."""

from __future__ import annotations

import struct
from pathlib import Path

from lilliput.data.patterns import MARK, byte_characters
from lilliput.data.tokenizer import Tokenizer
from lilliput.data.tokenizer_training import BEGIN, BYTES, END, byte_pieces
from lilliput.formats.merges import scores_of

FIRST_BYTE = 3
"""The code of llama2.c's programs contains the ids of the bytes, and 1 for the beginning mark."""


def misfits(tokenizer: Tokenizer) -> list[str]:
    """Return the parts of a tokenizer that the file cannot store."""
    if tokenizer.kind == "characters":
        return ["a tokenizer of single characters"]
    if tokenizer.kind == "other":
        return ["a tokenizer that is neither SentencePiece-style nor byte-level BPE"]
    lacking = [name for name in _byte_names(tokenizer) if tokenizer.backend.token_to_id(name) is None]
    return [f"a tokenizer without a token for {len(lacking)} of the 256 bytes"] if lacking else []


def order(tokenizer: Tokenizer, vocab_size: int) -> list[int]:
    """Return our id for each id of the file. The beginning mark has 1 there, the bytes begin at 3, and the other ids
    keep their order."""
    bytes_ = [number for name in _byte_names(tokenizer) if (number := tokenizer.backend.token_to_id(name)) is not None]
    fixed = {tokenizer.bos_id, *bytes_}
    rest = [number for number in range(vocab_size) if number not in fixed]
    return [rest[0], tokenizer.bos_id, rest[1], *bytes_, *rest[2:]]


def write(tokenizer: Tokenizer, ids: list[int], file: Path) -> None:
    """Return the file's bytes: int32 length of the longest piece, then float32 score, int32 length and bytes of each
    piece."""
    pieces = [_piece(tokenizer, number) for number in ids]
    scores = scores_of(tokenizer, map(tokenizer.token, ids))
    with open(file, "wb") as out:
        out.write(struct.pack("<i", max(map(len, pieces))))
        for piece, score in zip(pieces, scores, strict=True):
            out.write(struct.pack("<fi", score, len(piece)) + piece)


def readable(file: Path) -> bool:
    """Return whether the vocabulary in the file can be read, which requires that it begins with <unk>."""
    with open(file, "rb") as opened:
        return opened.read(17)[12:] == b"<unk>"


def _byte_names(tokenizer: Tokenizer) -> list[str]:
    if tokenizer.kind == "sentencepiece":
        return byte_pieces()[FIRST_BYTE:]
    spelled = {byte: character for character, byte in byte_characters().items()}
    return [spelled[byte] for byte in range(BYTES)]


def _piece(tokenizer: Tokenizer, number: int) -> bytes:
    """Return the bytes of an id. The programs print these bytes and merge prompts by them, so they must not be
    empty."""
    token = tokenizer.token(number)
    if number in (tokenizer.bos_id, tokenizer.eos_id) or token in (BEGIN, END):
        return f"\n{token}\n".encode()
    if not token or number in tokenizer.specials.values():
        return (token or f"<unused {number}>").encode()
    if tokenizer.kind == "sentencepiece":
        return token.replace(MARK, " ").encode()
    alphabet = byte_characters()
    raw = bytes(alphabet[character] for character in token)
    return raw if raw != b"\0" else byte_pieces()[FIRST_BYTE].encode()
