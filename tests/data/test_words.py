"""Words looked up in a table give the ids that the whole text gives, whatever its white space."""

import json

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
    assert tokenizer.encode(text) == tokenizer._encode_whole([before + text])[0]


def test_a_word_is_asked_for_once_and_the_table_is_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "MOST_WORDS", 2)
    asked: list[str] = []

    def encode(piece: str) -> list[int]:
        asked.append(piece)
        return [len(piece)]

    words = Words(encode)
    assert words.ids("a bb bb ccc bb dddd dddd") == [1, 3, 3, 4, 3, 5, 5]
    assert asked == ["a", " bb", " ccc", " dddd", " dddd"]  # the third word of the table no longer has a place
    assert words.ids("a \n b") is None
    assert words.ids("a  b") is None


def test_a_tokenizer_that_may_join_words_is_not_looked_up(tokenizer):
    spec = json.loads(tokenizer.content)
    added = {"id": tokenizer.vocab_size, "content": "tiny bear", "special": False, "single_word": False}
    spec["added_tokens"].append(added | {"lstrip": False, "rstrip": False, "normalized": False})
    joined = Tokenizer(json.dumps(spec))
    assert tokenizer._words is not None
    assert joined._words is None
    assert joined.vocab_size - 1 in joined.encode("a tiny bear")
