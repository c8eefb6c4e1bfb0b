"""Minimal pairs: two beginnings of stories that differ in one word, and the word that each of them asks for next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from lilliput.base.seeds import derive
from lilliput.storybook.people import BOYS, GIRLS, HE_ANIMALS, KINDS, LIKES, SHE_ANIMALS

Usable = Callable[[str], bool]

THINGS = ("kite", "ball", "drum", "boat", "cake", "book", "hat", "doll", "map", "bell")
SINGLE = ("bird", "flower", "tree", "house", "boat", "stone", "egg", "shell", "window")
SEVERAL = tuple(f"{noun}s" for noun in SINGLE)
ELDERS = ("Mom", "Dad", "Grandma", "Grandpa")
SHE, HE, IT_WAS, THEY_WERE = "She", "He", "was", "were"
GLAD, SORRY = ("happy", "glad", "proud"), ("sad", "sorry")
CAN, CANNOT = "now", "not"


@dataclass(frozen=True, slots=True)
class MinimalPair:
    """Two beginnings that differ in one word. `right` is the next word that `text` asks for, and `wrong` the next word
    that `twin` asks for. Both follow a space."""

    kind: str
    text: str
    twin: str
    right: str
    wrong: str

    def turned(self) -> MinimalPair:
        """Return the same pair with text and twin in exchanged roles."""
        return MinimalPair(self.kind, self.twin, self.text, self.wrong, self.right)


class _Draw:
    """Draws words that are usable. Raises ValueError where too few words are."""

    def __init__(self, random: Random, usable: Usable):
        self.random, self.usable = random, usable

    def one(self, words: Sequence[str]) -> str:
        return self.some(words, 1)[0]

    def some(self, words: Sequence[str], count: int) -> list[str]:
        known = [word for word in words if self.usable(word)]
        if len(known) < count:
            raise ValueError(f"{len(known)} of these words are usable, and {count} are needed: {', '.join(words)}")
        return self.random.sample(known, count)

    def child(self) -> tuple[str, str, str]:
        """Return kind, name and pronoun of a child."""
        if self.random.random() < 0.5:
            return "girl", self.one(GIRLS), "She"
        return "boy", self.one(BOYS), "He"


def _hero(draw: _Draw) -> MinimalPair:
    names = draw.random.choice((GIRLS, BOYS))
    kind, name, other = "girl" if names is GIRLS else "boy", *draw.some(names, 2)
    like, elder = draw.random.choice(LIKES), draw.one(ELDERS)
    begins = "Once upon a time, there was a little {kind} named {name} who loved to {like}. "
    ends = (
        'One day, {elder} was in the garden. "Come and look," said {elder} to',
        '"I want to come with you," said',
        "One day, {elder} gave a kite to",
    )
    text = (begins + draw.random.choice(ends)).format(kind=kind, name="{name}", like=like, elder=elder)
    return MinimalPair("hero", text.format(name=name), text.format(name=other), name, other)


def _want(draw: _Draw) -> MinimalPair:
    kind, name, he = draw.child()
    thing, other = draw.some(THINGS, 2)
    ends = (f"{he} wanted to have the", '"I would like to have your', f"{he} thought all day of the")
    text = f"There once was a little {kind} named {name}. One day, {name} saw a {{}} in the shop. "
    text += draw.random.choice(ends)
    return MinimalPair("want", text.format(thing), text.format(other), thing, other)


def _number(draw: _Draw) -> MinimalPair:
    places = [place for place, pair in enumerate(zip(SINGLE, SEVERAL, strict=True)) if all(map(draw.usable, pair))]
    draw.some((IT_WAS, THEY_WERE), 2)
    if not places:
        raise ValueError("no noun is usable in both numbers")
    place = draw.random.choice(places)
    kind, name, he = draw.child()
    near = draw.random.choice(("by the river", "in the garden", "near the house", "on the hill"))
    text = f"There once was a little {kind} named {name}. One day, {he.lower()} went for a walk. The {{}} {near}"
    return MinimalPair("number", text.format(SINGLE[place]), text.format(SEVERAL[place]), IT_WAS, THEY_WERE)


def _gender(draw: _Draw) -> MinimalPair:
    draw.some((SHE, HE), 2)
    she, he, kind = draw.one(SHE_ANIMALS), draw.one(HE_ANIMALS), draw.random.choice(KINDS)
    text = f"Once upon a time, there was a little {kind} named {{}} who loved to {draw.random.choice(LIKES)}."
    pair = MinimalPair("gender", text.format(she), text.format(he), SHE, HE)
    return pair if draw.random.random() < 0.5 else pair.turned()


def _negation(draw: _Draw) -> MinimalPair:
    draw.some((CAN, CANNOT), 2)
    glad, sorry, thing = draw.one(GLAD), draw.one(SORRY), draw.one(THINGS)
    kind, name, he = draw.child()
    text = f"There once was a little {kind} named {name} who wanted a {thing}. "
    text += draw.random.choice(
        (
            f"At last, {he.lower()} could {{}} have the {thing}. {name} was very",
            f"{he} could {{}} find the {thing}. {name} felt so",
        )
    )
    pair = MinimalPair("negation", text.format(CAN), text.format(CANNOT), glad, sorry)
    return pair if draw.random.random() < 0.5 else pair.turned()


def _speaker(draw: _Draw) -> MinimalPair:
    first, second = draw.some(draw.random.choice((GIRLS, BOYS)), 2)
    place = draw.random.choice(("garden", "park", "forest", "yard"))
    asked = draw.random.choice(("Where is the ball?", "Can you help me?", "What is that?"))
    answered = draw.random.choice(("I do not know", "I will look", "Let us see"))
    text = f'{first} and {second} were in the {place}. "{asked}" asked {{}}. "{answered}," said'
    return MinimalPair("speaker", text.format(first), text.format(second), second, first)


MAKERS: dict[str, Callable[[_Draw], MinimalPair]] = {
    "hero": _hero,
    "want": _want,
    "number": _number,
    "gender": _gender,
    "negation": _negation,
    "speaker": _speaker,
}
QUESTIONS = {
    "hero": "Who is the hero?",
    "want": "What does the hero want?",
    "number": "One or several?",
    "gender": "She or he?",
    "negation": "Did it work or not?",
    "speaker": "Who answers?",
}
"""What each kind of pair asks, in words."""


def minimal_pairs(kind: str, count: int, seed: int = 0, usable: Usable = lambda word: True) -> list[MinimalPair]:
    """Return `count` pairs of a kind of `MAKERS`, always the same for the same seed and words. The word that differs
    and both next words are among the words that are `usable`. Raises ValueError where too few words are usable."""
    return [MAKERS[kind](_Draw(Random(derive(seed, "minimal pair", kind, number)), usable)) for number in range(count)]
