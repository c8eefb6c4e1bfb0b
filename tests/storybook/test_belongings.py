"""Belongings: who has what, in the words of the world, with as many people and sentences as were asked for."""

import hashlib

import pytest

from lilliput.storybook import sentences, tokens, word_forms
from lilliput.storybook.belongings import DISTANCE, MOST_PAIRS, PAIRS, SCENES, THINGS, belongings
from lilliput.storybook.tasks import VERSION

DIGESTS = {1: "87aecb8eff7c73a3"}
"""Of 200 texts with seed 0, by the VERSION of the tasks."""


def test_the_same_seed_makes_the_same_texts_under_one_version() -> None:
    text = "\n".join(belongings(0, number).text for number in range(200))
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    assert DIGESTS.get(VERSION) == digest, "the texts changed: raise VERSION and note the new digest here"
    assert belongings(0, 7) == belongings(0, 7) != belongings(1, 7)


@pytest.mark.parametrize(("pairs", "distance"), [(1, 0), (3, 5), (MOST_PAIRS, 2)])
def test_as_many_people_and_sentences_as_were_asked_for(pairs: int, distance: int) -> None:
    for number in range(30):
        made = belongings(0, number, pairs, distance)
        assert len(made.pairs) == len(dict(made.pairs)) == pairs
        assert len({thing.split()[-1] for _, thing in made.pairs}) == pairs
        told = sentences(made.told)
        assert len(told) == pairs + distance
        for who, thing in made.pairs:
            assert sum(one.startswith(f"{who} ") and one.endswith(f"{thing}.") for one in told) == 1
            assert f"What does {who} have? {who} has {thing}." in made.text
        assert all(one in SCENES for one in told[pairs:])


def test_a_mixture_has_every_number_of_people_and_sentences() -> None:
    made = [belongings(2, number) for number in range(400)]
    assert {len(one.pairs) for one in made} == set(range(PAIRS[0], PAIRS[1] + 1))
    apart = {len(sentences(one.told)) - len(one.pairs) for one in made}
    assert apart == set(range(DISTANCE[0], DISTANCE[1] + 1))
    # A question may ask for any of the people: its order is not that of the sentences.
    first = [
        [who for who, _ in one.pairs].index(one.told.split()[0])
        for one in made
        if len(one.pairs) == 4 and "Aunt" not in one.told and "Uncle" not in one.told
    ]
    assert {0, 1, 2, 3} == set(first)


def test_the_words_are_those_of_the_world() -> None:
    known = word_forms()
    for number in range(300):
        assert set(tokens(belongings(3, number).text)) <= known
    assert len(set(THINGS)) == len(THINGS) >= MOST_PAIRS
