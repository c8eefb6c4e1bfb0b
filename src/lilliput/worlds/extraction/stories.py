"""Stories of the built-in world as examples: what a story's plan knows, asked for by templates."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, Literal

from lilliput.storybook.plan import Plan
from lilliput.storybook.short import short_story
from lilliput.worlds.extraction.making import MAKERS, Example, Maker
from lilliput.worlds.extraction.source_text import SourceText
from lilliput.worlds.extraction.template import read_template

ENDINGS = ["happy", "neutral", "sad"]
ROLES = ["hero", "friend", "elder", "helper"]
Field = tuple[tuple[str, ...], Any, Callable[[Plan], Any]]
FIELDS: list[Field] = [
    (("hero", "main_character"), "verbatim-string", lambda plan: plan.hero.name),
    (("hero_kind", "kind_of_hero"), "verbatim-string", lambda plan: plan.hero.kind),
    (("trait", "hero_trait"), "verbatim-string", lambda plan: next(iter(plan.hero.traits), None)),
    (("thing", "object"), "verbatim-string", lambda plan: plan.thing or None),
    (("place", "where"), "verbatim-string", lambda plan: plan.place or None),
    (("weather",), "verbatim-string", lambda plan: plan.weather or None),
    (("ending",), ENDINGS, lambda plan: plan.ending),
    (("feeling",), "verbatim-string", lambda plan: plan.feeling or None),
    (("lesson",), "string", lambda plan: plan.lesson or None),
    (
        ("characters", "people"),
        [{"name": "verbatim-string", "role": ROLES}],
        lambda plan: [{"name": who.name, "role": who.role if who.role in ROLES else None} for who in plan.characters],
    ),
    (("others", "other_characters"), ["verbatim-string"], lambda plan: [who.name for who in plan.characters[1:]]),
]
"""Each field: keys that ask for it, its type, and its value."""


@MAKERS.add("story")
class Stories(Maker):
    """Short stories of the built-in world, and templates of some fields of their plans."""

    kind: Literal["story"] = "story"

    def example(self, random: Random, held_out: bool) -> Example:
        told = short_story(random.getrandbits(32), 0)
        source = SourceText(told.text)
        template, values = {}, {}
        for number in sorted(random.sample(range(len(FIELDS)), random.randrange(2, 6))):
            keys, kind, value = FIELDS[number]
            key = random.choice(keys)
            template[key], values[key] = kind, _in_text(value(told.plan), source, kind == "string")
        return Example(told.text, read_template(template), values)


def _in_text(value: Any, source: SourceText, free: bool) -> Any:
    """Return a value of a plan as the text writes it: null where the text has other words for it."""
    if isinstance(value, list):
        found = [_in_text(each, source, free) for each in value]
        return [each for each in found if each is not None and (not isinstance(each, dict) or each["name"])]
    if isinstance(value, dict):
        return {**value, "name": _in_text(value["name"], source, free)}
    if value is None or free or value in ENDINGS:
        return value
    tried = (value, value[:1].upper() + value[1:])
    return next((each for each in tried if any(True for _ in source.spans(each))), None)
