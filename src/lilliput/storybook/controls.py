"""Controls for a score of stories: true stories damaged on purpose, from one wrong fact to a repeated prompt."""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random

from lilliput.base.seeds import derive
from lilliput.storybook.hero import children
from lilliput.storybook.vocabulary import sentences, things
from lilliput.storybook.world import Story, story

_SWAPPED = {"she": "he", "he": "she", "her": "his", "his": "her", "him": "her", "herself": "himself"}
_SWAPPED |= {"himself": "herself"} | {
    one.capitalize(): other.capitalize()
    for one, other in (("she", "he"), ("he", "she"), ("her", "his"), ("his", "her"))
}
_PRONOUN = re.compile(r"\b(?:[Ss]?[Hh]e|[Hh]ers?|[Hh]is|him|herself|himself)\b")
OTHERS = 1_000_000
"""Foreign sentences come from the story with this number added, of the same seed."""


def one_fact_changed(tale: Story, random: Random) -> str:
    """Give the hero another name, the other pronoun or another wish from two fifths of the story on."""
    told = sentences(tale.text)
    at = max(1, len(told) * 2 // 5)
    before, after = " ".join(told[:at]), " ".join(told[at:])
    name, thing = tale.plan.hero.name, tale.plan.thing
    ways = (
        ["name", "pronoun", "thing"] if thing in things() and re.search(rf"\b{thing}\b", after) else ["name", "pronoun"]
    )
    way = random.choice(ways)
    if way == "name":
        other = random.choice(sorted(children() - {who.name for who in tale.plan.characters}))
        after = re.sub(rf"\b{name}\b", other, after)
    elif way == "pronoun":
        after = _PRONOUN.sub(lambda match: _SWAPPED.get(match[0], match[0]), after)
    else:
        other = random.choice(sorted(things() - {thing}))
        after = re.sub(rf"\b{thing}\b", other, after)
    return f"{before} {after}"


def foreign_sentences(tale: Story, random: Random) -> str:
    """Replace every other sentence after the first third by the sentence at the same place of another story."""
    told = sentences(tale.text)
    other = sentences(story(derive(0, "controls"), random.randrange(OTHERS)).text)
    for place in range(max(1, len(told) // 3), len(told), 2):
        told[place] = other[place * len(other) // len(told)]
    return " ".join(told)


def shuffled_sentences(tale: Story, random: Random) -> str:
    """Put the story's sentences in random order."""
    told = sentences(tale.text)
    random.shuffle(told)
    return " ".join(told)


def shuffled_words(tale: Story, random: Random) -> str:
    """Put the story's words in random order."""
    words = tale.text.split()
    random.shuffle(words)
    return " ".join(words)


def repeated_prompt(tale: Story, random: Random) -> str:
    """Repeat the story's first two sentences, up to its length in sentences."""
    told = sentences(tale.text)
    return " ".join((told[:2] * len(told))[: len(told)])


CONTROLS: dict[str, Callable[[Story, Random], str]] = {
    "true stories": lambda tale, random: tale.text,
    "one fact changed": one_fact_changed,
    "sentences of another story": foreign_sentences,
    "sentences shuffled": shuffled_sentences,
    "words shuffled": shuffled_words,
    "prompt repeated": repeated_prompt,
}
"""The controls from the best to the worst. A useful score falls from each to the next."""


def control(name: str, tale: Story) -> str:
    """Return the text of a control, always the same for the same story."""
    return CONTROLS[name](tale, Random(derive(0, "control", name, tale.text)))
