"""Token files of nanoGPT and llm.c as a source: documents that are tokens already."""

from __future__ import annotations

import codecs
import shlex
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from lilliput.base.errors import DataError
from lilliput.data.bins import read_bin
from lilliput.data.document import Document, Tokens
from lilliput.data.files import COMPRESSIONS, FileSource, digest, reading
from lilliput.data.source import MAX_DOCUMENT_CHARACTERS, SOURCES, Errors, hash_of
from lilliput.data.tokenizer import Tokenizer
from lilliput.data.tokenizer_files import find

BLOCK = 2**20
CONTINUING = bytes(range(0x80, 0xC0))
"""Bytes that continue a character of UTF-8."""


@SOURCES.add("bin")
class TokenFiles(FileSource):
    """Token files: nanoGPT's and llama2.c's of bare uint16, and llm.c's with a header, versions 1 and 7.

    A beginning or end mark of `tokenizer` separates two documents and belongs to neither. A run with that tokenizer
    uses the tokens unchanged, so that no step rewrites them, and puts its own marks around each document. The text of
    the tokens is decoded for bits per byte, samples and other tokenizers. A document's id is `FILE#number`, counted
    from 0.
    """

    kind: Literal["bin"] = "bin"
    tokenizer: str | None = Field(
        default=None, description="the tokenizer of the tokens: a file or folder; null: the recipe's tokenizer.path"
    )

    suffixes: ClassVar[tuple[str, ...]] = (".bin",)

    def documents(self, errors: Errors = "strict") -> Iterator[Document]:
        tokenizer = self._named()
        for path in self.files():
            for number, (start, ids) in enumerate(_documents(path, tokenizer)):
                data = tokenizer.decode_bytes(ids.tolist())
                if errors == "strict" and (wrong := _not_text(data)) is not None:
                    ends = np.cumsum(tokenizer.token_bytes()[ids])
                    wrong += int(ends[-1]) - len(data)  # SentencePiece's space before a text is not part of the text
                    place = start + int(np.searchsorted(ends, wrong, side="right"))
                    raise DataError(
                        f"{path} is not UTF-8 text at token {place:,} (counted from 0) by {self.tokenizer}",
                        "name the tokenizer that made the file, tokenizer.path=FOLDER, or put a replacement character "
                        "into such text with data.errors=replace",
                    )
                text = data.decode("utf-8", "replace")
                yield Document(text, f"{path}#{number}", tokens=Tokens(ids, tokenizer, len(data)))

    def fingerprint(self) -> str:
        tokenizer = self._named()
        files = [(path.name, digest(path)) for path in self.files()]
        return hash_of("bin", tokenizer.sha256, sorted(_marks(tokenizer)), files)

    def details(self, files: Sequence[Path]) -> str:
        return f", {sum(len(_read(path)) for path in files):,} tokens of {self.tokenizer}"

    def _named(self) -> Tokenizer:
        if self.tokenizer is None:
            first = self.files()[0]
            meta = first.with_name("meta.pkl")
            place = shlex.quote(f"tokenizer.path={meta if meta.is_file() else 'FOLDER'}")
            also = "" if meta.is_file() else " (for GPT-2's tokens a folder with its vocab.json and merges.txt)"
            raise DataError(f"{first} holds tokens, and no tokenizer is named for them", f"name it: {place}{also}")
        file = find(Path(self.tokenizer))
        status = file.stat()
        return _loaded(str(file), status.st_size, status.st_mtime_ns)


def with_tokenizer(data: Mapping[str, Any], path: Any) -> dict[str, Any]:
    """Return the values of a data section in which token files without a tokenizer get the tokenizer at `path`, if
    any."""
    sources = data.get("sources")
    if not path or not isinstance(sources, list | tuple):
        return dict(data)
    lacks = [isinstance(s, Mapping) and s.get("kind") == "bin" and s.get("tokenizer") is None for s in sources]
    named = ({**s, "tokenizer": path} if lack else s for s, lack in zip(sources, lacks, strict=True))
    return {**data, "sources": list(named)}


@lru_cache(maxsize=2)
def _loaded(file: str, size: int, changed: int) -> Tokenizer:
    return Tokenizer.load(file)


def _marks(tokenizer: Tokenizer) -> set[int]:
    """Return the ids that separate documents. nanoGPT puts the end mark after each document; llm.c and llama2.c put a
    mark before it."""
    return {tokenizer.specials[role] for role in ("bos", "eos") if role in tokenizer.specials}


def _read(path: Path) -> np.ndarray:
    if path.suffix.lower() in COMPRESSIONS:
        raise DataError(f"{path} is compressed, and token files are mapped into memory", "unpack it first")
    with reading(path):
        return read_bin(path)


def _documents(path: Path, tokenizer: Tokenizer) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (place of the first token in the file, ids, (length,) uint32) of every document that is not empty."""
    tokens, marks, known = _read(path), list(_marks(tokenizer)), tokenizer.vocab_size
    held: list[np.ndarray] = []
    first = length = 0
    for begin in range(0, len(tokens), BLOCK):
        block = np.asarray(tokens[begin : begin + BLOCK]).astype(np.uint32)
        if block.max() >= known:
            place = int(np.argmax(block >= known))
            raise DataError(
                f"{path}: token {begin + place:,} (counted from 0) is {block[place]:,}, and the vocabulary has "
                f"{known:,} ids",
                "name the tokenizer that made the file: tokenizer.path=FOLDER",
            )
        start = 0
        for stop in [*np.flatnonzero(np.isin(block, marks)).tolist(), None]:
            held.append(block[start:stop])
            length += len(held[-1])
            if length > MAX_DOCUMENT_CHARACTERS:
                raise DataError(
                    f"{path}: no mark splits the {length:,} tokens from token {first:,} on into documents",
                    "name the tokenizer that made the file: tokenizer.path=FOLDER",
                )
            if stop is not None:
                if length:
                    yield first, np.concatenate(held)
                held, length, start = [], 0, stop + 1
                first = begin + start
    if length:
        yield first, np.concatenate(held)


def _not_text(data: bytes) -> int | None:
    """Return the first place where bytes are not UTF-8, None where all are. A character that is cut at either end is
    allowed."""
    whole = data[len(data[:3]) - len(data[:3].lstrip(CONTINUING)) :]
    try:
        codecs.getincrementaldecoder("utf-8")("strict").decode(whole, final=False)
    except UnicodeDecodeError as error:
        return len(data) - len(whole) + error.start
    return None
