"""Curation steps."""

import pytest

from lilliput.data.document import Document
from lilliput.data.steps import STEPS, Dropped, Length, Normalise


def test_normalise_composes_characters_and_line_ends_and_nothing_else():
    text = "Cafe\u0301 ﬁne  “x”\r\nnext\rlast \n\n"
    kept = Normalise().apply(Document(text, "a", {"n": 1}))
    assert kept == Document("Café ﬁne  “x”\nnext\nlast \n\n", "a", {"n": 1})


def test_normalise_leaves_a_normal_text_alone():
    document = Document("Plain text.\n", "a")
    assert Normalise().apply(document) is document


@pytest.mark.parametrize(
    ("words", "reason"), [(2, "fewer than 3 words"), (3, None), (5, None), (6, "more than 5 words")]
)
def test_length_drops_with_the_reason(words, reason):
    document = Document("word " * words, "a")
    assert Length(min_words=3, max_words=5).apply(document) == (Dropped(reason) if reason else document)


def test_the_registry_knows_them():
    assert {"normalise", "length"} <= set(STEPS)
