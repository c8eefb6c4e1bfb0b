"""Reversed language modelling: predict the previous token, so that a story can be generated back from its ending."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field

from lilliput.base.errors import ConfigError
from lilliput.data.document import Document
from lilliput.data.rows import Encoded
from lilliput.objectives.causal import NextTokenConfig
from lilliput.objectives.objective import OBJECTIVES, Prompt
from lilliput.objectives.reader import Reader, TokensBackwards, WordsBackwards
from lilliput.objectives.words import WORD, reverse_words

if TYPE_CHECKING:
    from lilliput.data.tokenizer import Tokenizer


@OBJECTIVES.add("reversed")
class Reversed(NextTokenConfig):
    """The causal objective on reversed text; a BOS begins the reversed text and an EOS ends it.

    By word, the words are in reverse order, and each word keeps its spelling. By token, the tokens are the tokens of
    the forward text.
    """

    kind: Literal["reversed"] = "reversed"
    by: Literal["word", "token"] = Field(
        default="word",
        description="word: the text's words are reversed before it is tokenised; token: its token ids are reversed",
    )
    reads_forwards: ClassVar[bool] = False

    def view(self, text: str) -> str:
        return reverse_words(text) if self.by == "word" else text

    def encode(self, documents: Sequence[Document], tokenizer: Tokenizer) -> list[Encoded]:
        rows = self.encode_texts(documents, tokenizer)
        if self.by == "word":
            return rows
        return [Encoded(ids=np.concatenate((row.ids[:1], row.ids[-2:0:-1], row.ids[-1:]))) for row in rows]

    def prompt(self, tokenizer: Tokenizer, opening: str | None, ending: str | None) -> Prompt:
        if opening:
            raise ConfigError(
                "this model reads backwards: it leads to a given ending, and cannot continue an opening",
                'give the ending instead: lilliput generate RUN --ending "They were happy."',
            )
        ending = ending or ""
        if self.by == "token":
            # Inside a story the ending's first word follows a space, and the model learned its tokens with this space.
            ids = tokenizer.encode(" " + ending if WORD.match(ending) else ending, continuing=True)
            return Prompt([tokenizer.bos_id, *reversed(ids)])
        forbidden = list(word_starts(tokenizer)) if WORD.match(ending) else []
        return Prompt([tokenizer.bos_id, *tokenizer.encode(reverse_words(ending))], forbidden)

    def text_of(self, tokenizer: Tokenizer, opening: str | None, ending: str | None, ids: Sequence[int]) -> str:
        ending = ending or ""
        if self.by == "word":
            # The generated text is reversed alone and then joined, so that the ending stays exactly as it was given.
            return reverse_words(tokenizer.decode(ids, continuing=bool(ending))) + ending
        before = tokenizer.decode(list(reversed(ids)))
        gap = " " if before and WORD.match(ending) else ""
        return before + gap + ending

    def reader(self, tokenizer: Tokenizer, opening: str | None, ending: str | None) -> Reader:
        if self.by == "word":
            return WordsBackwards(tokenizer, continuing=bool(ending))
        return TokensBackwards(tokenizer, ending or "")


@lru_cache(maxsize=8)
def word_starts(tokenizer: Tokenizer) -> tuple[int, ...]:
    """Ids whose text begins inside a word: as the first new token they would grow into the ending's first word. It
    reads the whole vocabulary, so that the last few tokenizers' ids are kept."""
    return tuple(i for i in range(tokenizer.vocab_size) if WORD.match(tokenizer.decode([i], continuing=True)))
