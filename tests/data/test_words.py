"""Words looked up in a table give the ids that the whole text gives, whatever its white space."""

import json
import re
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lilliput.data import words as module
from lilliput.data.config import TokenizerConfig
from lilliput.data.tokenizer import Tokenizer
from lilliput.data.words import Words

TEXT = (
    "Once upon a time, there was a tiny bear.\nIt didn't sleep!\n\n"
    '"I\'VE 12 apples," it said... naïve café, 3rd ½ of x² — “yes” \t ok .\n'
) * 8
KINDS = [("bpe", "qwen2"), ("bpe", "llama-bpe"), ("bpe", "gpt-2"), ("sentencepiece", "qwen2")]


@pytest.fixture(scope="module", params=KINDS, ids="-".join)
def tokenizer(request) -> Tokenizer:
    kind, pattern = request.param
    return Tokenizer.train([TEXT], TokenizerConfig(vocab_size=340, kind=kind, pattern=pattern))


BLANKS = [" ", "  ", "\n", "\r\n", "\t", "\u00a0", "\u3000", "\x1c"]
SIGNS = [
    "bear",
    "It",
    "'s",
    "'VE",
    "12",
    "½",
    "x²",
    "e\u0301",
    ".",
    "...",
    "“yes”",
    "猫",
    "<|pad|>",
    "\ufeff",
    "a" * 60,
]
PIECES = st.sampled_from(BLANKS + SIGNS)


@settings(max_examples=200, deadline=None)
@given(pieces=st.lists(PIECES, max_size=14))
def test_ids_are_those_of_the_whole_text(tokenizer, pieces):
    text = "".join(pieces)
    before = " " if tokenizer.kind == "sentencepiece" and text else ""
    whole = tokenizer._encode_whole([before + text])[0].tolist()
    assert tokenizer.encode_batch([text, TEXT, text]) == [whole, tokenizer.encode(TEXT), whole]


def lengths(asked: list[str]):
    """A tokenizer of one id for each word, its length, that opens with a space where the word stands after one."""

    def encode(pieces: Sequence[str]) -> list[np.ndarray]:
        asked.extend(pieces)
        found = [[len(word) + 10 * (word[0] == " ") for word in re.findall(r" ?[^ ]+| $", piece)] for piece in pieces]
        return [np.array(ids, dtype=np.uint32) for ids in found]

    return encode


def texts(words: Words, *texts: str) -> list[list[int] | None]:
    return [None if ids is None else ids.tolist() for ids in words.ids(texts)]


def test_a_word_is_asked_for_once_and_the_table_is_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "MOST_WORDS", 4)
    asked: list[str] = []
    words = Words(lengths(asked), np.arange(100) > 10)
    assert texts(words, "a bb bb ccc bb", "a bb ccc") == [[1, 13, 13, 14, 13], [1, 13, 14]]
    assert asked == [" bb ccc", "a"]
    asked.clear()
    assert texts(words, "a dddd bb dddd") == texts(words, "a dddd bb dddd") == [[1, 15, 13, 15]]
    assert asked == [" dddd", " dddd"]  # the table has no more place, so it is asked for in every group of texts


def test_white_space_that_may_belong_together_is_left_to_the_tokenizer():
    words = Words(lengths([]), np.arange(100) > 10)
    for _ in range(2):
        assert texts(words, "a \n b", "a  b", "a bb\n", "a ", " a") == [None, None, [1, 14], [1, 11], [12]]


def test_a_vocabulary_without_a_token_for_the_space_is_asked_for_each_word():
    asked: list[str] = []
    words = Words(lengths(asked), np.zeros(100, dtype=bool))
    assert texts(words, "a bb ccc") == [[1, 13, 14]]
    assert asked == [" bb ccc", "a", " bb", " ccc"]


def test_a_tokenizer_that_may_join_words_is_not_looked_up(tokenizer):
    spec = json.loads(tokenizer.content)
    added = {"id": tokenizer.vocab_size, "content": "tiny bear", "special": False, "single_word": False}
    spec["added_tokens"].append(added | {"lstrip": False, "rstrip": False, "normalized": False})
    joined = Tokenizer(json.dumps(spec))
    assert tokenizer._words is not None
    assert joined._words is None
    assert joined.vocab_size - 1 in joined.encode("a tiny bear")
