"""Plan: the events and the people of a story. The plan is drawn first, and the text is told from it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class Character:
    """Somebody in a story. `name` is as the text writes it ("Lily", "Mom", "the crow"); `pronoun` is she, he or it;
    `role` is hero, friend, elder, helper, or another role of the plot. The hero's `traits`, and at most one of `age`,
    `home` and `likes`, are told at the start."""

    name: str
    kind: str
    pronoun: str
    role: str
    age: str = ""
    home: str = ""
    likes: str = ""
    traits: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """The ground truth of a story. Phrases are in the story's own words. A field is '' or () where the story lacks it.
    The text tells every field, except that some stories leave out the obstacle's words, the time of day or the
    season."""

    plot: str
    characters: tuple[Character, ...]
    thing: str
    """The noun that the story turns on: named when the want is told, and again later."""
    objects: tuple[str, ...]
    place: str
    time: str
    season: str
    weather: str
    want: str
    obstacle: str
    attempts: tuple[str, ...]
    helper: str
    resolution: str
    ending: str
    """happy, neutral or sad."""
    feeling: str
    lesson: str
    words: tuple[str, ...]
    """Content words of the plan. The text contains each of them."""

    @property
    def hero(self) -> Character:
        """Return the character that the story is about."""
        return self.characters[0]

    def as_dict(self) -> dict[str, Any]:
        """Return the plan as JSON values: strings, lists and mappings only."""
        plain = {field.name: getattr(self, field.name) for field in fields(self)}
        plain |= {name: list(value) for name, value in plain.items() if isinstance(value, tuple)}
        plain["characters"] = [
            {field.name: getattr(who, field.name) for field in fields(who)} | {"traits": list(who.traits)}
            for who in self.characters
        ]
        return plain
