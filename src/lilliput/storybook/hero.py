"""Does a text keep its hero? The plainest sign that a model has learnt to copy a name from where it stood before."""

from __future__ import annotations

import re
from functools import cache

from lilliput.storybook.people import ANIMALS, CHILDREN

HEROES = (("Mia", "girl"), ("Ben", "boy"), ("Nina", "girl"), ("Tom", "boy"))
"""Whom stories are asked about, one after the other, when a model is measured."""
ENDINGS = (
    "How happy {} was!", "{} felt very glad.", "{} felt happy at last.", "{} felt so proud.", "Now {} was glad.",
)  # fmt: skip
"""Last sentences of many plots. An ending that names a lesson would fix the plot, and with it whether there is a friend
whose name has to be kept too; an opening leaves that open."""
_NAME = re.compile(r"\b[A-Z][a-z]+")


@cache
def children() -> frozenset[str]:
    """The names of all children and animals of the story world: everybody who may be a hero or a friend."""
    return frozenset(map(str, (*CHILDREN, *ANIMALS)))


def first_child(text: str) -> str | None:
    """The first child or animal that `text` names."""
    return next((name for name in _NAME.findall(text) if name in children()), None)


def keeps_hero(text: str, hero: str, second_half: bool = True, given: str = "") -> bool:
    """Whether `text` names `hero` in its second half (its first, for a text that was written from its end) and at most
    one other child or animal anywhere. True stories do, by construction. The prompt `given` does not count as naming:
    a text that ends right after it keeps nobody."""
    words = text.split(" ")
    middle = len(words) // 2
    half = " ".join(words[middle:] if second_half else words[:middle])
    others = {name for name in _NAME.findall(text) if name in children()} - {hero}
    own = text.removeprefix(given) if second_half else text.removesuffix(given)
    return all(hero in _NAME.findall(part) for part in (half, own)) and len(others) <= 1


def hero_prompts(count: int, forwards: bool = True) -> list[tuple[str, str]]:
    """`count` pairs of a prompt and its hero: openings, or for a model that reads backwards, endings."""
    chosen = [HEROES[number % len(HEROES)] for number in range(count)]
    if forwards:
        return [(f"Once upon a time, there was a little {kind} named {name}.", name) for name, kind in chosen]
    return [(ENDINGS[number % len(ENDINGS)].format(name), name) for number, (name, _) in enumerate(chosen)]
