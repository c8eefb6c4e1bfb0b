"""DataConfig and TokenizerConfig: the `data` and `tokenizer` sections of a recipe."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from lilliput.base.config import Config
from lilliput.base.registered import OneOf
from lilliput.data.source import SOURCES, Errors, Source
from lilliput.data.steps import STEPS, Normalise, Step
from lilliput.data.story import Stories


def listed(value: Any) -> Any:
    """Return a list as it is. Raises ValueError for another value."""
    if not isinstance(value, list | tuple):
        raise ValueError("give a list, such as [{kind: NAME, ...}]")
    return value


class DataConfig(Config):
    """`data`: the sources of documents, the steps that change them, and the packing of their tokens into rows."""

    sources: tuple[Annotated[Source, OneOf(SOURCES)], ...] = Field(
        default=(Stories(),),
        description="the sources of documents, such as [{kind: text, paths: [a.txt]}, {kind: story}]",
    )
    mix_until: Literal["all", "first"] = Field(
        default="all",
        description="all: every source is read to its end; first: the mixture ends with the first source that ends, so "
        "that the weights hold to the end",
    )
    steps: tuple[Annotated[Step, OneOf(STEPS)], ...] = Field(
        default=(Normalise(),), description="the steps that change or drop a document, in order; []: no text is changed"
    )
    errors: Errors = Field(
        default="strict", description="strict: bytes that are not UTF-8 are an error; replace: they become U+FFFD"
    )
    validation_fraction: float = Field(
        default=0.05, ge=0, lt=1, description="share of the documents for validation, chosen by a hash of their text"
    )
    max_documents: int | None = Field(
        default=None, gt=0, description="most documents of the mixture that are read; null: all"
    )
    packing: Literal["auto", "contiguous", "aligned", "best_fit"] = Field(
        default="auto",
        description="contiguous: rows are windows of the stream of all documents; aligned: the same, but each row "
        "begins where a document does; best_fit: whole documents are packed into rows, and see only themselves; auto: "
        "contiguous. For examples, and where four average documents fit into one row, auto and aligned are best_fit",
    )
    too_long: Literal["truncate", "drop", "refuse"] = Field(
        default="truncate",
        description="examples longer than a row. truncate: they are cut at its end, and left out where nothing to "
        "learn would be left; drop: they are left out; refuse: they are an error. Longer texts go on in the next row",
    )
    shard_tokens: int = Field(default=100_000_000, gt=0, description="tokens in one file of the cache")

    _is_list = field_validator("sources", "steps", mode="before")(listed)

    @field_validator("sources")
    @classmethod
    def _not_empty(cls, value: tuple[Source, ...]) -> tuple[Source, ...]:
        if not value:
            raise ValueError("no source is given; leave the key out for the built-in stories")
        return value


class TokenizerConfig(Config):
    """`tokenizer`: the tokenizer that is trained on the run's text, or an existing tokenizer."""

    vocab_size: int = Field(default=4096, gt=0, le=2**21, description="number of token ids, special tokens included")
    kind: Literal["bpe", "sentencepiece"] = Field(
        default="bpe",
        description="bpe: byte-level BPE; sentencepiece: pieces with a leading-space mark and byte fallback",
    )
    pattern: Literal["qwen2", "llama-bpe", "gpt-2"] = Field(
        default="qwen2", description="how byte-level BPE splits text before it merges, by llama.cpp's name for it"
    )
    sample_bytes: int = Field(
        default=20_000_000,
        gt=0,
        description="UTF-8 bytes of training text, from the start of the mixture, that the tokenizer is trained on",
    )
    path: str | None = Field(
        default=None, description="use this tokenizer instead of a new one: a tokenizer.json, its folder, or a run"
    )
