"""Short stories: what their plans say, their lengths, and two ends of one plan."""

from collections import Counter

import pytest

from lilliput.storybook import consistency, sentences, tokens, word_forms
from lilliput.storybook.briefs import BRIEFS
from lilliput.storybook.plot import draw
from lilliput.storybook.short import ENDS, LONGEST, ShortStory, plots_with, short_story, two_ends
from lilliput.storybook.world import plots

STORIES = 3_000


@pytest.fixture(scope="module")
def told() -> list[ShortStory]:
    return [short_story(1, index) for index in range(STORIES)]


def test_a_story_depends_on_its_seed_index_and_ending_alone() -> None:
    later = short_story(3, 8)
    assert [short_story(3, index) for index in (9, 8)][1] == later
    assert len({short_story(3, 8).text, short_story(3, 9).text, short_story(4, 8).text}) == 3


def test_every_end_of_every_plot_has_its_sentences_and_its_outcome() -> None:
    for name, plot in plots():
        ends = {end.kind for end in plot.ends}
        assert BRIEFS[name].ends.keys() == BRIEFS[name].outcome.keys() == ends, name


def test_short_stories_are_short_true_and_in_the_words_of_the_world(told: list[ShortStory]) -> None:
    assert {tale.plan.plot for tale in told} == {name for name, _ in plots()}
    assert len({tale.text for tale in told}) > 0.99 * STORIES
    strange = Counter(word for tale in told for word in tokens(tale.text) if word not in word_forms())
    assert set(strange) <= {"died"}
    for tale in told:
        text, plan = tale.text, tale.plan
        words = f" {' '.join(tokens(text))} "
        assert 35 <= len(text.split()) <= LONGEST
        assert text.count('"') % 2 == 0
        assert not any(mark in text for mark in ("{", "[", "|", "  ", ".."))
        for phrase in (*plan.words, plan.thing, plan.place, plan.weather, plan.feeling, plan.lesson):
            assert not phrase or f" {' '.join(tokens(phrase))} " in words, (phrase, text)
        assert plan.hero.name in tale.opening
        assert plan.hero.kind in tale.opening
        assert all(who.name.removeprefix("the ") in text for who in plan.characters)
        assert bool(tale.where) == bool(plan.place)
        assert f"{tale.beginning} {tale.rest}" == text
        assert all(sentence[:1].isupper() or sentence[:1] == '"' for sentence in sentences(text)), text


def test_short_stories_score_nearly_as_true_stories_do(told: list[ShortStory]) -> None:
    scores = [consistency(tale.text, tale.plan).overall for tale in told[:200]]
    assert sum(scores) / len(scores) > 0.75


@pytest.mark.parametrize("ending", ENDS)
def test_an_asked_ending_is_the_plans_ending(ending: str) -> None:
    assert {short_story(2, index, ending).plan.ending for index in range(200)} == {ending}
    assert 0 < len(plots_with(ending)) <= len(plots_with(""))


def test_two_ends_begin_alike_and_end_apart() -> None:
    for index in range(200):
        first, second = two_ends(5, index)
        assert first.plan.ending != second.plan.ending
        assert first.beginning == second.beginning
        assert first.rest != second.rest
        assert first.plan.hero == second.plan.hero


def test_a_plot_without_an_ending_says_so() -> None:
    from random import Random

    astray = dict(plots())["astray"]
    with pytest.raises(ValueError, match="no sad end"):
        draw(astray, Random(0), "sad")
