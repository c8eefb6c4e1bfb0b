"""Consistency scores: true stories at the ceiling, mixed sentences at the floor, and each rule caught at work."""

import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lilliput.storybook import Scores, Story, ceiling_and_floor, consistency, control_scores, sentences, story
from lilliput.storybook.controls import control


@pytest.fixture(scope="module")
def bounds() -> tuple[Scores, Scores]:
    return ceiling_and_floor(seed=5, stories=500)


@pytest.fixture(scope="module")
def told() -> list[Story]:
    return [story(6, index) for index in range(300)]


def mean(name: str, texts: list[str]) -> float:
    values = [getattr(consistency(text), name) for text in texts]
    known = [value for value in values if value is not None]
    return sum(known) / len(known)


def overall(texts: list[str]) -> float:
    return mean("overall", texts)


def by_trigrams(told: list[Story], count: int) -> list[str]:
    """Texts that a model of the two words before would generate after the first sentence of a story."""
    following: dict[tuple[str, str], list[str]] = {}
    for each in told:
        words = [*each.text.split(), ""]
        for first, second, third in zip(words, words[1:], words[2:], strict=False):
            following.setdefault((first, second), []).append(third)
    random, texts = Random(0), []
    for each in told[:count]:
        words = sentences(each.text)[0].split()
        while words[-1] and len(words) < 150:
            words.append(random.choice(following[words[-2], words[-1]]))
        texts.append(" ".join(words).strip())
    return texts


def test_true_stories_are_the_ceiling(bounds: tuple[Scores, Scores]):
    ceiling, floor = bounds
    for name, value in ceiling.as_dict().items():
        assert value is not None
        assert value > 0.95, name
    assert floor.overall < 0.1


MARGINS = {
    "one fact changed": 0.08,
    "sentences of another story": 0.03,
    "sentences shuffled": 0.12,
    "words shuffled": 0.40,
    "prompt repeated": 0.03,
}
"""By how much each control has to lie below the one before it."""


@pytest.mark.parametrize("seed", [5, 31])
def test_the_controls_are_ranked(seed: int):
    found = control_scores(seed, 200)
    assert list(found) == ["true stories", *MARGINS]
    means = {name: sum(one.overall for one in scores) / 200 for name, scores in found.items()}
    assert means["true stories"] > 0.95
    for before, (name, margin) in zip(means, MARGINS.items(), strict=False):
        assert means[before] - means[name] > margin, (before, name, means)


def test_a_model_of_three_words_lies_between(told: list[Story]):
    texts = by_trigrams([*told, *(story(8, index) for index in range(1_000))], 200)
    assert overall([each.text for each in told[:200]]) - 0.1 > overall(texts)
    assert overall(texts) > 0.1 + overall([control("words shuffled", each) for each in told[:200]])


def test_a_beginning_that_is_kept_does_not_save_a_heap_of_words(told: list[Story]):
    """Two fifths of each story stay as they are and the rest of its words are shuffled, as the judge's floor does."""
    floor = []
    for each in told[:200]:
        words = each.text.split()
        at = len(words) * 2 // 5
        tail = words[at:]
        Random(at).shuffle(tail)
        floor.append(" ".join([*words[:at], *tail]))
    assert overall(floor) < overall([control("sentences shuffled", each) for each in told[:200]]) - 0.1


def test_each_part_notices_its_control(told: list[Story]):
    def of(name: str, part: str) -> float:
        return mean(part, [control(name, each) for each in told[:200]])

    assert of("sentences shuffled", "order") < 0.3
    assert of("sentences shuffled", "introduction") < 0.8
    assert of("sentences of another story", "coherence") < 0.6
    assert of("words shuffled", "grammar") < 0.3
    assert of("prompt repeated", "variety") < 0.1


def test_what_cannot_be_judged_counts_as_neither():
    scores = consistency("It was a sunny day.")
    assert (scores.name, scores.want, scores.order) == (None, None, None)
    assert scores.overall < 0.5  # too little to be a story
    known = Scores(**dict.fromkeys(Scores.__slots__, 1.0))
    assert known.overall == 1.0
    assert replace(known, want=None, pronoun=None).overall == 1.0
    assert replace(known, want=0.0).overall == pytest.approx(7 / 8)


def test_stories_of_another_world_are_scored_low(told: list[Story], shared_data: Path):
    file = shared_data / "tinystories" / "v2gpt4-train-head-10k-lines.txt"
    if not file.is_file():
        pytest.skip("no TinyStories here")
    texts = file.read_text(encoding="utf-8")[:200_000].split("<|endoftext|>")[:100]
    assert overall([each.text for each in told]) > 0.5 + overall(texts)


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
    assert set(scores) == {*Scores.__slots__, "overall"}
    assert all(score is None or 0.0 <= score <= 1.0 for score in scores.values())


@given(st.lists(st.sampled_from(["Lily", "she", "he", "wanted", "kite", '"', ".", "The crow", "Mom", "xyz", "!"])))
def test_any_heap_of_words_has_scores(words: list[str]):
    assert all(score is None or 0.0 <= score <= 1.0 for score in consistency(" ".join(words)).as_dict().values())


def test_nothing_scores_nothing():
    assert consistency("").overall == 0.0
    assert consistency("", {}).overall == 0.0
