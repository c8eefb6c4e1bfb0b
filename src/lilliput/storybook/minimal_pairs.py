"""Minimal pairs: two pieces of stories that differ in one word, and the word that each of them asks for, next or
before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
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
NEAR = ("by the river", "in the garden", "near the school", "on the hill")
PLACES = ("garden", "park", "forest", "yard")
ASKED = ("Where is the ball?", "Can you help me?", "What is that?")
ANSWERED = ("I do not know", "I will look", "Let us see")
CAN, CANNOT = "now", "not"


@dataclass(frozen=True, slots=True)
class MinimalPair:
    """Two pieces of a story that differ in one word. `right` is the next word that `text` asks for, and `wrong` the
    next word that `twin` asks for. A space is between. Of a pair that is read backwards (not `forwards`), both are the
    word before."""

    kind: str
    text: str
    twin: str
    right: str
    wrong: str
    forwards: bool = True

    def turned(self) -> MinimalPair:
        """Return the same pair with text and twin in exchanged roles."""
        return replace(self, text=self.twin, twin=self.text, right=self.wrong, wrong=self.right)


class _Draw:
    """Draws usable words by `random`, and the sentence around them by `sentence`. Raises ValueError where too few words
    are usable."""

    def __init__(self, random: Random, sentence: Random, usable: Usable):
        self.random, self.sentence, self.usable = random, sentence, usable

    def one(self, words: Sequence[str]) -> str:
        return self.some(words, 1)[0]

    def some(self, words: Sequence[str], count: int) -> list[str]:
        known = [word for word in words if self.usable(word)]
        if len(known) < count:
            raise ValueError(f"{len(known)} of these words are usable, and {count} are needed: {', '.join(words)}")
        return self.random.sample(known, count)

    def noun(self) -> tuple[str, str]:
        """Return a noun in both numbers."""
        self.some((IT_WAS, THEY_WERE), 2)
        known = [pair for pair in zip(SINGLE, SEVERAL, strict=True) if all(map(self.usable, pair))]
        if not known:
            raise ValueError("no noun is usable in both numbers")
        return self.random.choice(known)

    def child(self) -> tuple[str, str, str]:
        """Return kind, name and pronoun of a child that the pair does not ask about."""
        kind, names, he = self.sentence.choice((("girl", GIRLS, SHE), ("boy", BOYS, HE)))
        return kind, self.sentence.choice(names), he

    def names(self) -> tuple[str, str, str, str]:
        """Return kind and pronoun of two children, and their names."""
        kind, names, he = self.sentence.choice((("girl", GIRLS, SHE), ("boy", BOYS, HE)))
        first, second = self.some(names, 2)
        return kind, he, first, second


# ---------------------------------------------------------------------------- the next word


def _hero(draw: _Draw) -> MinimalPair:
    kind, _, name, other = draw.names()
    like, elder = draw.sentence.choice(LIKES), draw.sentence.choice(ELDERS)
    text = "Once upon a time, there was a little {kind} named {name}" + draw.sentence.choice(
        (
            ". One day,",
            ' who loved to {like}. One day, {elder} was in the garden. "Come and look," said {elder} to',
            ' who loved to {like}. "I want to come with you," said',
            " who loved to {like}. One day, {elder} gave a kite to",
        )
    ).format(like=like, elder=elder)
    texts = [text.format(kind=kind, name=one) for one in (name, other)]
    return MinimalPair("hero", texts[0], texts[1], name, other)


def _want(draw: _Draw) -> MinimalPair:
    kind, name, he = draw.child()
    thing, other = draw.some(THINGS, 2)
    ends = (f"{he} wanted to have the", '"I would like to have your', f"{he} thought all day of the")
    text = f"There once was a little {kind} named {name}. One day, {name} saw a {{}} in the shop. "
    text += draw.sentence.choice(ends)
    return MinimalPair("want", text.format(thing), text.format(other), thing, other)


def _number(draw: _Draw) -> MinimalPair:
    one, several = draw.noun()
    kind, name, he = draw.child()
    text = f"There once was a little {kind} named {name}. One day, {he.lower()} went for a walk. The {{}} "
    text += draw.sentence.choice(NEAR)
    return MinimalPair("number", text.format(one), text.format(several), IT_WAS, THEY_WERE)


def _gender(draw: _Draw) -> MinimalPair:
    draw.some((SHE, HE), 2)
    she, he, kind = draw.one(SHE_ANIMALS), draw.one(HE_ANIMALS), draw.sentence.choice(KINDS)
    text = f"Once upon a time, there was a little {kind} named {{}} who loved to {draw.sentence.choice(LIKES)}."
    pair = MinimalPair("gender", text.format(she), text.format(he), SHE, HE)
    return pair if draw.random.random() < 0.5 else pair.turned()


def _negation(draw: _Draw) -> MinimalPair:
    draw.some((CAN, CANNOT), 2)
    glad, sorry, thing = draw.one(GLAD), draw.one(SORRY), draw.sentence.choice(THINGS)
    kind, name, he = draw.child()
    text = f"There once was a little {kind} named {name} who wanted a {thing}. "
    text += draw.sentence.choice(
        (
            f"At last, {he.lower()} could {{}} have the {thing}. {name} was very",
            f"{he} could {{}} find the {thing}. {name} felt so",
        )
    )
    pair = MinimalPair("negation", text.format(CAN), text.format(CANNOT), glad, sorry)
    return pair if draw.random.random() < 0.5 else pair.turned()


def _speaker(draw: _Draw) -> MinimalPair:
    _, _, first, second = draw.names()
    place, asked, answered = (draw.sentence.choice(some) for some in (PLACES, ASKED, ANSWERED))
    text = f'{first} and {second} were in the {place}. "{asked}" asked {{}}. "{answered}," said'
    return MinimalPair("speaker", text.format(first), text.format(second), second, first)


# ---------------------------------------------------------------------------- the word before, for who reads backwards


def _hero_before(draw: _Draw) -> MinimalPair:
    _, _, name, other = draw.names()
    text = f"loved to {draw.sentence.choice(LIKES)}. One day, {{}} " + draw.sentence.choice(
        ("went to the park.", "saw a kite in the shop.", "was in the garden.")
    )
    return _before("hero", text, (name, other), (name, other))


def _want_before(draw: _Draw) -> MinimalPair:
    _, _, he = draw.child()
    thing, other = draw.some(THINGS, 2)
    text = "in the shop. " + draw.sentence.choice(
        (f"{he} wanted to have the {{}} very much.", f"{he} thought of the {{}} all day.")
    )
    return _before("want", text, (thing, other), (thing, other))


def _number_before(draw: _Draw) -> MinimalPair:
    return _before("number", f"{{}} {draw.sentence.choice(NEAR)}.", (IT_WAS, THEY_WERE), draw.noun())


def _gender_before(draw: _Draw) -> MinimalPair:
    draw.some((SHE, HE), 2)
    text = f"loved to {draw.sentence.choice(LIKES)}. {{}} was very happy."
    pair = _before("gender", text, (SHE, HE), (draw.one(GIRLS), draw.one(BOYS)))
    return pair if draw.random.random() < 0.5 else pair.turned()


def _negation_before(draw: _Draw) -> MinimalPair:
    draw.some((CAN, CANNOT), 2)
    _, name, _ = draw.child()
    text = f"have the {draw.sentence.choice(THINGS)}. {name} was very {{}} about it."
    pair = _before("negation", text, (draw.one(GLAD), draw.one(SORRY)), (CAN, CANNOT))
    return pair if draw.random.random() < 0.5 else pair.turned()


def _speaker_before(draw: _Draw) -> MinimalPair:
    _, _, first, second = draw.names()
    place, asked, answered = (draw.sentence.choice(some) for some in (PLACES, ASKED, ANSWERED))
    text = f'asked, "{asked}" "{answered}," {{}} said. {first} and {second} were in the {place}.'
    return _before("speaker", text, (second, first), (first, second))


def _before(kind: str, text: str, words: tuple[str, str], asked: tuple[str, str]) -> MinimalPair:
    """Return a pair that is read backwards: `text` with each of the two `words`, and the words `asked` before it."""
    return MinimalPair(kind, text.format(words[0]), text.format(words[1]), asked[0], asked[1], False)


Maker = Callable[[_Draw], MinimalPair]
MAKERS: dict[str, Maker] = {
    "hero": _hero,
    "want": _want,
    "number": _number,
    "gender": _gender,
    "negation": _negation,
    "speaker": _speaker,
}
MAKERS_BEFORE: dict[str, Maker] = {
    "hero": _hero_before,
    "want": _want_before,
    "number": _number_before,
    "gender": _gender_before,
    "negation": _negation_before,
    "speaker": _speaker_before,
}
"""The same kinds for a model that reads backwards."""
QUESTIONS = {
    "hero": "Who is the hero?",
    "want": "What does the hero want?",
    "number": "One or several?",
    "gender": "She or he?",
    "negation": "Did it work or not?",
    "speaker": "Who answers?",
}
"""What each kind of pair asks, in words."""


def minimal_pairs(
    kind: str,
    count: int,
    seed: int = 0,
    usable: Usable = lambda word: True,
    forwards: bool = True,
    alike: bool = False,
) -> list[MinimalPair]:
    """Return `count` pairs of a kind of `MAKERS`, always the same for the same arguments. The word that differs and
    both asked words are among the words that are `usable`. Pairs that are `alike` have one sentence and differ in these
    words alone. Raises ValueError where too few words are usable."""
    make = (MAKERS if forwards else MAKERS_BEFORE)[kind]
    return [
        make(
            _Draw(
                Random(derive(seed, "minimal pair", kind, number)),
                Random(derive(seed, "sentence of a minimal pair", kind, 0 if alike else number)),
                usable,
            )
        )
        for number in range(count)
    ]
