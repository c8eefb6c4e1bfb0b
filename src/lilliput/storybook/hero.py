"""Whether a text keeps its hero: the simplest sign that a model has learnt to copy an earlier name."""

from __future__ import annotations

import re
from functools import cache

from lilliput.storybook.people import ANIMALS, CHILDREN

HEROES = (("Mia", "girl"), ("Ben", "boy"), ("Nina", "girl"), ("Tom", "boy"))
"""The heroes of the prompts, in turn, when a model is measured."""
ENDINGS = (
    "How happy {} was!", "{} felt very glad.", "{} felt happy at last.", "{} felt so proud.", "Now {} was glad.",
)  # fmt: skip
"""Last sentences that many plots share. An ending with a lesson would fix the plot, and with it whether the story has a
friend whose name has to be kept too. An opening does not fix the plot."""
_NAME = re.compile(r"\b[A-Z][a-z]+")


@cache
def children() -> frozenset[str]:
    """Return the names of all children and animals of the story world, who may each be a hero or a friend."""
    return frozenset(map(str, (*CHILDREN, *ANIMALS)))


def first_child(text: str) -> str | None:
    """Return the first child or animal that `text` names."""
    return next((name for name in _NAME.findall(text) if name in children()), None)


def keeps_hero(text: str, hero: str, second_half: bool = True, given: str = "") -> bool:
    """Return whether `text` names `hero` in its second half, and at most one other child or animal anywhere.

    For a text that was generated from its end, the first half counts instead. True stories keep their hero by
    construction. Names in the prompt `given` do not count, so a text that ends right after its prompt keeps no hero."""
    words = text.split(" ")
    middle = len(words) // 2
    half = " ".join(words[middle:] if second_half else words[:middle])
    others = {name for name in _NAME.findall(text) if name in children()} - {hero}
    own = text.removeprefix(given) if second_half else text.removesuffix(given)
    return all(hero in _NAME.findall(part) for part in (half, own)) and len(others) <= 1


def hero_prompts(count: int, forwards: bool = True) -> list[tuple[str, str]]:
    """Return `count` pairs of a prompt and its hero. The prompts are openings, or endings for a model that reads
    backwards."""
    chosen = [HEROES[number % len(HEROES)] for number in range(count)]
    if forwards:
        return [(f"Once upon a time, there was a little {kind} named {name}.", name) for name, kind in chosen]
    return [(ENDINGS[number % len(ENDINGS)].format(name), name) for number, (name, _) in enumerate(chosen)]
