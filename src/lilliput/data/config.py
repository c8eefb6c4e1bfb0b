"""DataConfig and TokenizerConfig: the `data` and `tokenizer` sections of a recipe."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from lilliput.base.config import Config
from lilliput.base.registered import OneOf
from lilliput.data.source import SOURCES, Errors, Source
from lilliput.data.steps import STEPS, Normalise, Step
from lilliput.data.story import Stories


class DataConfig(Config):
    """`data`.

    sources              where documents come from: `[{kind: text, paths: [a.txt]}, {kind: story}]`
    mix_until            all: read every source to its end; first: end the mixture with the first source that ends,
                         so that the weights hold to the end
    steps                what may happen to a document, in order; `[]` leaves every text as it is
    errors               strict: bytes that are not UTF-8 are an error; replace: they become U+FFFD
    validation_fraction  share of the documents that are kept for validation, by a hash of their text
    max_documents        how many documents of the mixture are read at most
    packing              contiguous: rows are windows of the stream of all documents; aligned: the same, but each row
                         begins where a document does (loader.py); best_fit: whole documents are packed into rows as
                         closely as they fit, and see only themselves; auto: contiguous. Where four average documents
                         would lie in one row, auto and aligned are best_fit
    shard_tokens         tokens in a file of the cache
    """

    sources: tuple[Annotated[Source, OneOf(SOURCES)], ...] = (Stories(),)
    mix_until: Literal["all", "first"] = "all"
    steps: tuple[Annotated[Step, OneOf(STEPS)], ...] = (Normalise(),)
    errors: Errors = "strict"
    validation_fraction: float = Field(default=0.05, ge=0, lt=1)
    max_documents: int | None = Field(default=None, gt=0)
    packing: Literal["auto", "contiguous", "aligned", "best_fit"] = "auto"
    shard_tokens: int = Field(default=100_000_000, gt=0)

    @field_validator("sources", "steps", mode="before")
    @classmethod
    def _is_list(cls, value: Any) -> Any:
        if not isinstance(value, list | tuple):
            raise ValueError("a list is wanted, such as [{kind: NAME, ...}]")
        return value

    @field_validator("sources")
    @classmethod
    def _not_empty(cls, value: tuple[Source, ...]) -> tuple[Source, ...]:
        if not value:
            raise ValueError("no source is given; leave the key out for the built-in stories")
        return value


class TokenizerConfig(Config):
    """`tokenizer`.

    vocab_size    number of ids, special tokens included
    kind          bpe: byte-level BPE; sentencepiece: pieces with a leading-space mark and byte fallback
    pattern       how byte-level BPE splits text before it merges, by the name llama.cpp gives it
    sample_bytes  how much training text (UTF-8 bytes from the start of the mixture) the tokenizer is trained on
    path          take this tokenizer instead: a tokenizer.json, its folder, or a run
    """

    vocab_size: int = Field(default=4096, gt=0, le=2**21)
    kind: Literal["bpe", "sentencepiece"] = "bpe"
    pattern: Literal["qwen2", "llama-bpe", "gpt-2"] = "qwen2"
    sample_bytes: int = Field(default=20_000_000, gt=0)
    path: str | None = None
