"""Proxies by hand, and the longest copied run against a search through all runs."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lilliput.evaluation.judge.copied import longest_copies, words
from lilliput.evaluation.judge.proxies import PROXIES, distinct, names_kept, proxies, repeated
from lilliput.evaluation.judge.story import JudgedStory


def slow(stories, training):
    best = 0
    printed = words(stories)
    for start in range(len(printed)):
        for stop in range(start + 1, len(printed) + 1):
            run = printed[start:stop]
            for text in training:
                have = words(text)
                if any(have[i : i + len(run)] == run for i in range(len(have))):
                    best = max(best, len(run))
    return best


TEXTS = st.lists(st.text("ab c", max_size=14), max_size=4)


@given(TEXTS, TEXTS)
def test_the_longest_copied_run(stories, training):
    assert longest_copies(stories, training) == [slow(text, training) for text in stories]


def test_a_copied_sentence_is_found_whatever_its_case():
    stories = ["And then the Cat sat on the mat, happily.", "Nothing here."]
    assert longest_copies(stories, ["One day", "the cat sat on the mat, sadly."]) == [7, 1]


def test_distinct_and_repeated():
    assert distinct(["a b a b", "a b"], 2) == pytest.approx(2 / 4)
    assert math.isnan(distinct(["a"], 2))
    assert repeated("a b c d a b c d", 4) == pytest.approx(1 / 5)
    assert repeated("a b c d e f", 4) == 0
    assert math.isnan(repeated("a b c", 4))


def test_names():
    story = JudgedStory('She saw Tom and Lily. Then Ann came. "Look," said Max.', " Tom ran with Max.")
    assert names_kept(story) == 0.5  # Tom and Max of Tom, Lily, Ann and Max
    assert math.isnan(names_kept(JudgedStory("Once upon a time", " Tom ran.")))


def test_every_value_has_its_story(tiny):
    stories = [JudgedStory("Tom saw a cat", ' and "sat."'), JudgedStory("a dog", " sat on a"), JudgedStory("a dog", "")]
    found = proxies(stories, [3, 2, 0], (tiny.model, tiny.tokenizer))
    assert found.keys() == PROXIES.keys()
    assert found["ended"] == [1, 0, 0]
    assert found["copied_words"] == [3, 2, 0]
    assert found["referee_bits"][0] > 0
    assert math.isnan(found["referee_bits"][2])
    assert proxies(stories).keys() == PROXIES.keys() - {"copied_words", "referee_bits"}
