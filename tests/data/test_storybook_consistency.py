"""Consistency scores: true stories at the ceiling, mixed sentences at the floor, and each rule caught at work."""

import re
from dataclasses import fields
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lilliput.data.storybook import Scores, Story, ceiling_and_floor, consistency, sentences, story


@pytest.fixture(scope="module")
def bounds() -> tuple[Scores, Scores]:
    return ceiling_and_floor(seed=5, stories=1_000)


@pytest.fixture(scope="module")
def told() -> list[Story]:
    return [story(6, index) for index in range(300)]


def mean(name: str, texts: list[str]) -> float:
    return sum(getattr(consistency(text), name) for text in texts) / len(texts)


def test_true_stories_are_the_ceiling(bounds: tuple[Scores, Scores]):
    ceiling, _ = bounds
    for field in fields(ceiling):
        assert getattr(ceiling, field.name) > 0.95, field.name
    assert ceiling.overall == pytest.approx(sum(getattr(ceiling, field.name) for field in fields(ceiling)) / 5)


def test_mixed_sentences_are_the_floor(bounds: tuple[Scores, Scores]):
    ceiling, floor = bounds
    assert ceiling.overall - floor.overall > 0.5
    for name in ("name", "pronoun", "want", "ending"):
        assert getattr(ceiling, name) - getattr(floor, name) > 0.4, name
    assert floor.words == 1.0


def test_the_plan_may_be_given_in_either_form(told: list[Story]):
    for each in told:
        assert consistency(each.text, each.plan) == consistency(each.text, each.plan.as_dict())
    assert sum(consistency(each.text, each.plan).overall for each in told) / len(told) > 0.95


def test_another_plan_is_noticed(told: list[Story]):
    shifted = [consistency(each.text, other.plan).overall for each, other in pairwise(told)]
    assert sum(shifted) / len(shifted) < 0.75


def test_a_hero_who_changes_the_name_is_noticed(told: list[Story]):
    changed = []
    for each in told:
        first, *rest = sentences(each.text)
        changed.append(" ".join([first, *(sentence.replace(each.plan.hero.name, "Zelda") for sentence in rest)]))
    assert mean("name", changed) == 0.0


def test_a_hero_who_changes_the_pronoun_is_noticed(told: list[Story]):
    other = {"she": "he", "he": "she", "She": "He", "He": "She"}
    swapped = [re.sub(r"\b([Ss]?[Hh]e)\b", lambda match: other.get(match[1], match[1]), each.text) for each in told]
    assert mean("pronoun", swapped) < 0.2


def test_a_want_that_is_forgotten_is_noticed(told: list[Story]):
    reach = [each for each in told if each.plan.plot in ("reach", "lost", "trade", "skill", "fear")]
    cut = [" ".join(sentences(each.text)[:4]) + " Then it was night." for each in reach]
    assert mean("want", cut) < 0.5 < mean("want", [each.text for each in reach])


def test_a_missing_end_is_noticed(told: list[Story]):
    cut = [each.text[: len(each.text) // 2].rsplit(" ", 1)[0].rstrip(".!?") for each in told]
    assert mean("ending", cut) < 0.4


def test_strange_words_are_noticed(told: list[Story]):
    strange = [re.sub(r"\b[a-z]{5,}\b", "quantum", each.text) for each in told]
    assert mean("words", strange) < 0.8


@given(st.text(max_size=300))
def test_any_text_has_scores(text: str):
    scores = consistency(text).as_dict()
    assert set(scores) == {"name", "pronoun", "want", "ending", "words", "overall"}
    assert all(0.0 <= score <= 1.0 for score in scores.values())


@given(st.lists(st.sampled_from(["Lily", "she", "he", "wanted", "kite", '"', ".", "The crow", "Mom", "xyz", "!"])))
def test_any_heap_of_words_has_scores(words: list[str]):
    assert all(0.0 <= score <= 1.0 for score in consistency(" ".join(words)).as_dict().values())


def test_nothing_scores_nothing():
    assert consistency("").overall == 0.0
    assert consistency("", {}).overall == 0.0
