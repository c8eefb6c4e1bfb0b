"""Scores a told or generated story by rules: does it keep its hero, pronouns and want, and does it come to an end?"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from random import Random
from typing import Any

from lilliput.base.seeds import derive
from lilliput.data.storybook.grammar import PRONOUNS
from lilliput.data.storybook.people import ANIMALS, CHILDREN, CREATURES, ELDERS, KINDS
from lilliput.data.storybook.plan import Plan
from lilliput.data.storybook.vocabulary import closing_words, sentences, things, tokens, word_forms
from lilliput.data.storybook.world import story

_SPEECH = re.compile(r'"[^"]*"?')
_NAME = re.compile(r"\b[A-Z][a-z]+")
_DESIRE = re.compile(r"\b(?:want(?:ed)?|wish(?:ed)?|would love|would like)\b")
_LEARNT = re.compile(r"\b(?:learned|remembered|knew|understood|know|forgot)\b.* that\b")
_HEROES = {str(person): person.he for person in (*CHILDREN, *ANIMALS)}
_NAMELESS = "|".join((*CREATURES, *KINDS, "girl", "boy"))
_PERSON = re.compile(rf"\b(?:(?:[Tt]he|[Aa]n?) (?:{_NAMELESS})|{'|'.join((*map(str, ELDERS), *_HEROES))})\b")


@dataclass(frozen=True, slots=True)
class Scores:
    """How consistent a story is; each score is between 0 and 1."""

    name: float
    """The hero is named again in the second half, and no crowd of other names takes over."""
    pronoun: float
    """Share of the sentences about the hero alone whose pronouns are the hero's."""
    want: float
    """What is wanted is spoken of again later."""
    ending: float
    """The last sentences bring a feeling and a lesson, and the text ends with a full stop."""
    words: float
    """Share of the words that belong to the story world."""

    @property
    def overall(self) -> float:
        """The mean of the five."""
        return (self.name + self.pronoun + self.want + self.ending + self.words) / 5

    def as_dict(self) -> dict[str, float]:
        """The scores by name, with `overall`."""
        return {field.name: getattr(self, field.name) for field in fields(self)} | {"overall": self.overall}


def consistency(text: str, plan: Plan | Mapping[str, Any] | None = None) -> Scores:
    """Score `text`, which may be any string. Without `plan` (a Plan, or one as a mapping) the hero is the first name of
    the story world that it brings, and the want is read from its words."""
    facts = plan.as_dict() if isinstance(plan, Plan) else dict(plan or {})
    told = sentences(text)
    cast = facts.get("characters") or [{}]
    hero = cast[0].get("name") or _first_name(told)
    pronoun = cast[0].get("pronoun") or _HEROES.get(hero, "")
    known = tokens(text)
    return Scores(
        name=_keeps_name(told, hero),
        pronoun=_keeps_pronoun(told, hero, pronoun),
        want=_keeps_want(told, facts.get("thing", "")),
        ending=_ends(told),
        words=sum(word in word_forms() for word in known) / len(known) if known else 0.0,
    )


def ceiling_and_floor(seed: int, stories: int) -> tuple[Scores, Scores]:
    """The mean scores of `stories` true stories, and of as many texts of the same lengths in sentences, put together
    from the sentences of all of them at random. A model's scores lie between the two."""
    texts = [story(seed, index).text for index in range(stories)]
    told = [sentences(text) for text in texts]
    pool = [sentence for text in told for sentence in text]
    Random(derive(seed, "shuffled sentences")).shuffle(pool)
    mixed, start = [], 0
    for text in told:
        mixed.append(" ".join(pool[start : start + len(text)]))
        start += len(text)
    return _mean([consistency(text) for text in texts]), _mean([consistency(text) for text in mixed])


def _mean(scores: list[Scores]) -> Scores:
    return Scores(*(sum(getattr(score, field.name) for score in scores) / len(scores) for field in fields(Scores)))


def _names(sentence: str) -> set[str]:
    return {name for name in _NAME.findall(sentence) if name in _HEROES}


def _first_name(told: list[str]) -> str:
    return next((name for sentence in told for name in _NAME.findall(sentence) if name in _HEROES), "")


def _keeps_name(told: list[str], hero: str) -> float:
    """1 if the hero is named in the second half, shared among all heroes' names where there are more than two."""
    if not hero or not any(hero in _NAME.findall(sentence) for sentence in told[max(1, len(told) // 2) :]):
        return 0.0
    crowd = set().union(*map(_names, told))
    return min(1.0, 2 / len(crowd | {hero}))


def _keeps_pronoun(told: list[str], hero: str, pronoun: str) -> float:
    """The share of passages with the hero's pronoun, of those that have a pronoun: a passage runs from the hero's name
    to the next person or the end of the sentence, and after a sentence with the hero alone, from the start of the next
    sentence up to the next person. "She" and "he" are looked at first; the other forms, which may well be somebody
    else's, only where there are none. What is said in quotation marks is left out, since it may speak of anybody."""
    about_hero = False
    passages: list[set[str]] = []
    for sentence in told:
        spoken = _SPEECH.sub(" ", sentence)
        people = list(_PERSON.finditer(spoken))
        start = next((match.end() for match in people if match[0] == hero), 0 if about_hero else None)
        if start is not None:
            end = next((match.start() for match in people if match.start() >= start and match[0] != hero), None)
            passages.append(set(tokens(spoken[start:end])))
        if people:
            about_hero = all(match[0] == hero for match in people)
    for forms in ({"she": {"she"}, "he": {"he"}}, {"she": {*PRONOUNS["she"]}, "he": {*PRONOUNS["he"]}}):
        found = [{gender for gender in forms if forms[gender] & words} for words in passages]
        found = [genders for genders in found if genders]
        if found:
            pronoun = pronoun or min(found[0])
            return sum(genders == {pronoun} for genders in found) / len(found)
    return 0.0


def _keeps_want(told: list[str], thing: str) -> float:
    """1 if the thing is named again after the sentence that wants it, else 0. If no thing is given, it is any that is
    named in a sentence that wants something, in the next one, or in the nearest one before it that names a thing."""
    wants = [place for place, sentence in enumerate(told) if _DESIRE.search(sentence)]
    if thing:
        named = [place for place, sentence in enumerate(told) if f" {thing} " in f" {' '.join(tokens(sentence))} "]
        return float(bool(named) and named[-1] > (wants or named)[0])
    found = [things().intersection(tokens(sentence)) for sentence in told]
    for want in wants:
        before = next((place for place in range(want - 1, -1, -1) if found[place]), want)
        if (found[want] | found[before]) & set().union(*found[want + 1 :]):
            return 1.0
        if set().union(*found[want + 1 : want + 2]) & set().union(*found[want + 2 :]):
            return 1.0
    return 0.0


def _ends(told: list[str]) -> float:
    if not told:
        return 0.0
    feelings, lessons = closing_words()
    close = " ".join(told[-4:])
    felt = any(feeling in tokens(close) or f" {feeling}" in close for feeling in feelings)
    learnt = bool(_LEARNT.search(close)) or any(lesson in close.lower() for lesson in lessons)
    stopped = told[-1].rstrip('"').endswith((".", "!", "?"))
    return 0.4 * felt + 0.4 * learnt + 0.2 * stopped
