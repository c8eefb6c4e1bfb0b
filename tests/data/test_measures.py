"""Measures of texts: words are split as English is, and sequences are counted as a plain search counts them."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lilliput.data.steps import measures
from lilliput.data.steps.measures import Texts, measured
from lilliput.data.steps.words import hash_of_word


def words(text: str) -> list[str]:
    texts = Texts([text])
    return [text[start:end] for start, end in zip(texts.starts, texts.ends, strict=True)]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Don't go, Tom's dog isn't here.", "Do n't go , Tom 's dog is n't here ."),
        ("Mr. J. Smith of the U.S. has 2,000 at 12:30...", "Mr. J. Smith of the U.S. has 2,000 at 12:30 ..."),
        ("O'Brien's -- 'Hello' (yes) end.x", "O'Brien 's -- ' Hello ' ( yes ) end . x"),
        ("It’s a café, naïve 東京!", "It ’s a café , naïve 東京 !"),
        ("", ""),
        (" \n\t ", ""),
        ("a", "a"),
        ("'", "'"),
        ("...", "..."),
        ("😀 ok 😀", "😀 ok 😀"),
    ],
)
def test_words_are_split_as_english_is(text: str, wanted: str) -> None:
    assert words(text) == wanted.split()


@given(st.lists(st.text(alphabet="abn'’t.s,1 \n-😀", max_size=40), max_size=6))
@settings(max_examples=80, deadline=None)
def test_words_of_many_texts_are_those_of_each(texts: list[str]) -> None:
    found = Texts(texts)
    for number, text in enumerate(texts):
        alone = Texts([text])
        here = slice(found.bounds[number], found.bounds[number + 1])
        begin = sum(len(other) + 1 for other in texts[:number])
        assert (found.starts[here] - begin).tolist() == alone.starts.tolist()
        assert (found.ends[here] - begin).tolist() == alone.ends.tolist()
        assert found.hashes[here].tolist() == alone.hashes.tolist()
    assert "".join(words(texts[0])) == "".join(texts[0].split()) if texts else True


def test_equal_words_have_equal_hashes_and_no_others() -> None:
    texts = Texts([" ".join(f"w{number}" for number in range(20_000)), "w7 the w8 the"])
    assert len(np.unique(texts.hashes)) == 20_001
    assert (texts.hashes == hash_of_word("the")).sum() == 2
    assert texts.different(["the", "w7", "none"]).tolist() == [1, 2]
    assert texts.counts.tolist() == [20_000, 4]


def test_letters_and_marks() -> None:
    texts = Texts(["ab 12 a1 , ... $ 'tis"])
    assert texts.lettered.tolist() == [True, False, True, False, False, False, False, True]
    assert texts.bare.tolist() == [False, False, False, True, True, False, True, False]
    assert texts.total(texts.lengths).tolist() == [2 + 2 + 2 + 1 + 3 + 1 + 1 + 3]


def plain_top(text: str, n: int) -> int:
    split = words(text)
    grams = Counter(" ".join(split[place : place + n]) for place in range(len(split) - n + 1))
    if not grams:
        return 0
    gram, count = grams.most_common(1)[0]
    return len(gram) * count


def plain_repeated(text: str, n: int) -> int:
    split, seen, found, place = words(text), set(), 0, 0
    while place < len(split) - n + 1:
        gram = tuple(split[place : place + n])
        if gram in seen:
            found, place = found + sum(map(len, gram)), place + n
        else:
            seen.add(gram)
            place += 1
    return found


@given(st.lists(st.text(alphabet="ab c", max_size=60), min_size=1, max_size=5), st.integers(2, 6))
@settings(max_examples=120, deadline=None)
def test_sequences_are_counted_as_a_plain_search_counts_them(texts: list[str], n: int) -> None:
    found = Texts(texts)
    assert found.top_gram(n).tolist() == [plain_top(text, n) for text in texts]
    assert found.repeated(n).tolist() == [plain_repeated(text, n) for text in texts]


def test_a_share_at_most_is_no_smaller_than_the_exact_one() -> None:
    text = "one two three four five six seven " * 3
    exact = int(Texts([text]).repeated(3)[0])
    above = int(Texts([text]).repeated(3, above=1.0)[0])
    assert exact == plain_repeated(text, 3)
    assert exact <= above <= len(text)


def test_rules_in_a_row_split_their_texts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made = list[int]()
    original = measures.Texts
    monkeypatch.setattr(measures, "Texts", lambda texts: made.append(len(texts)) or original(texts))
    texts = [f"text {number} of some words" for number in range(5)]
    first, places = measured(texts)
    again, fewer = measured(texts[1:3])
    assert first is again
    assert (places, fewer) == ([0, 1, 2, 3, 4], [1, 2])
    assert made == [5]
    other, at = measured(["another"])
    assert other is not first
    assert at == [0]
