"""Minimal pairs differ in one word, each asks for another next word, and the same seed gives the same pairs."""

import pytest

from lilliput.storybook.minimal_pairs import MAKERS, MAKERS_BEFORE, QUESTIONS, MinimalPair, minimal_pairs
from lilliput.storybook.people import BOYS, GIRLS, HE_ANIMALS, SHE_ANIMALS
from lilliput.storybook.vocabulary import tokens, word_forms

kinds = pytest.mark.parametrize("kind", MAKERS)
both = pytest.mark.parametrize("forwards", [True, False])


@kinds
@both
def test_a_pair_differs_in_one_word(kind, forwards):
    for pair in minimal_pairs(kind, 60, forwards=forwards):
        words, others = pair.text.split(" "), pair.twin.split(" ")
        assert sum(one != other for one, other in zip(words, others, strict=True)) == 1
        assert pair.right != pair.wrong
        assert (pair.kind, pair.forwards) == (kind, forwards)


@kinds
@both
def test_the_words_are_those_of_the_story_world(kind, forwards):
    known = word_forms()
    for pair in minimal_pairs(kind, 60, forwards=forwards):
        assert set(tokens(f"{pair.text} {pair.right} {pair.wrong}")) <= known, pair


@kinds
def test_pairs_repeat_and_seeds_differ(kind):
    assert minimal_pairs(kind, 20) == minimal_pairs(kind, 20)
    assert minimal_pairs(kind, 5) == minimal_pairs(kind, 20)[:5]
    assert minimal_pairs(kind, 20) != minimal_pairs(kind, 20, seed=1)


def test_the_ground_truth():
    for pair in minimal_pairs("hero", 40):
        assert pair.right in pair.text.replace(".", "").split(" ")
        assert pair.wrong not in pair.text.replace(".", "").split(" ")
    for pair in minimal_pairs("want", 40):
        assert f"saw a {pair.right} " in pair.text
        assert f"saw a {pair.wrong} " in pair.twin
    for pair in minimal_pairs("gender", 40):
        named = pair.text.split("named ")[1].split(" ")[0]
        assert named in (SHE_ANIMALS if pair.right == "She" else HE_ANIMALS)
    for pair in minimal_pairs("number", 40):
        noun = pair.text.split("The ")[1].split(" ")[0]
        assert (pair.right == "were") == noun.endswith("s")
    for pair in minimal_pairs("negation", 40):
        assert (" not " in pair.text) == (pair.right in ("sad", "sorry"))
    for pair in minimal_pairs("speaker", 40):
        assert f"asked {pair.wrong}." in pair.text
        assert {pair.right, pair.wrong} <= {*GIRLS, *BOYS}


def test_the_ground_truth_of_the_word_before():
    def pairs(kind: str) -> list[MinimalPair]:
        return minimal_pairs(kind, 40, forwards=False)

    for pair in [*pairs("hero"), *pairs("want")]:
        assert pair.right in pair.text.split(" ")
        assert pair.wrong not in pair.text.split(" ")
        assert pair.wrong in pair.twin.split(" ")
    for pair in pairs("number"):
        assert pair.text.startswith("was ")
        assert pair.wrong == f"{pair.right}s"
    for pair in pairs("gender"):
        assert pair.right in (GIRLS if ". She " in pair.text else BOYS)
    for pair in pairs("negation"):
        assert (pair.right == "not") == bool({"sad", "sorry"} & set(pair.text.split(" ")))
    for pair in pairs("speaker"):
        assert f'," {pair.wrong} said.' in pair.text


@kinds
@both
def test_pairs_that_are_alike_have_one_sentence(kind, forwards):
    made = minimal_pairs(kind, 12, forwards=forwards, alike=True)
    words = [pair.text.split(" ") for pair in made]
    assert len({len(one) for one in words}) == 1
    assert sum(len(set(column)) > 1 for column in zip(*words, strict=True)) <= 3
    assert len(set(made)) > 1


def test_only_usable_words_are_drawn():
    usable = {"Lily", "Mia", "Tom", "Ben", "kite", "ball", "Mom"}
    for pair in minimal_pairs("hero", 20, usable=usable.__contains__):
        assert {pair.right, pair.wrong} <= usable
    with pytest.raises(ValueError, match="0 of these words are usable, and 2 are needed: She, He"):
        minimal_pairs("gender", 1, usable=usable.__contains__)


def test_every_kind_has_its_question():
    assert QUESTIONS.keys() == MAKERS.keys() == MAKERS_BEFORE.keys()
