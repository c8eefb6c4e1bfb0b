"""Scores of a true or generated story by rules and by counts over true stories: hero, want, order, grammar."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from lilliput.storybook.controls import CONTROLS, control
from lilliput.storybook.grammar import PRONOUNS
from lilliput.storybook.people import ANIMALS, CHILDREN, CREATURES, ELDERS, KINDS
from lilliput.storybook.plan import Plan
from lilliput.storybook.telling import coherence, grammar, introduction, order, variety
from lilliput.storybook.usage import read
from lilliput.storybook.vocabulary import closing_words, sentences, things, tokens, word_forms
from lilliput.storybook.world import story

_SPEECH = re.compile(r'"[^"]*"?')
_NAME = re.compile(r"\b[A-Z][a-z]+")
_DESIRE = re.compile(r"\b(?:want(?:ed)?|wish(?:ed)?|would love|would like)\b")
_LEARNT = re.compile(r"\b(?:learned|remembered|knew|understood|know|forgot)\b.* that\b")
_HEROES = {str(person): person.he for person in (*CHILDREN, *ANIMALS)}
_NAMELESS = "|".join((*CREATURES, *KINDS, "girl", "boy"))
_PERSON = re.compile(rf"\b(?:(?:[Tt]he|[Aa]n?) (?:{_NAMELESS})|{'|'.join((*map(str, ELDERS), *_HEROES))})\b")


@dataclass(frozen=True, slots=True)
class Scores:
    """The consistency of a story. Each part is between 0 and 1, or None where the text has nothing to judge it by."""

    name: float | None
    """The hero is named again in the second half, and no crowd of other names takes over."""
    pronoun: float | None
    """Share of the sentences about the hero alone whose pronouns are the hero's."""
    want: float | None
    """The wanted thing is named again later."""
    ending: float | None
    """The last sentences bring a feeling and a lesson, and the text ends with a full stop."""
    introduction: float | None
    """Share of the people and things whose first mention has a form that true stories use."""
    order: float | None
    """Rank correlation of the sentences' places with the places of such sentences in true stories, 0 where negative."""
    coherence: float | None
    """Share of the sentences that belong to the same plot, times the share of the things that occur together."""
    words: float | None
    """Share of the words that belong to the story world."""
    grammar: float | None
    """Mean of two shares: of the pairs of neighbouring words, and of the triples, that occur in true stories."""
    variety: float | None
    """1 where no run of four words occurs twice, 0 where half of these runs or more occurred before."""

    @property
    def overall(self) -> float:
        """Return words x grammar x variety x the mean of the judged parts of the story.

        Order counts twice, because shuffled sentences may be right in every other part. Where fewer than four parts
        could be judged, the missing parts count as 0 up to four, because such a text is too short to be a story."""
        told = [part for part in (getattr(self, name) for name in (*STORY_PARTS, "order")) if part is not None]
        language = math.prod(getattr(self, name) or 0.0 for name in LANGUAGE_PARTS)
        return language * sum(told) / max(len(told), ENOUGH)

    def as_dict(self) -> dict[str, float | None]:
        """Return the scores by name, with `overall`; None for a part that could not be judged."""
        return {field.name: getattr(self, field.name) for field in fields(self)} | {"overall": self.overall}


STORY_PARTS = ("name", "pronoun", "want", "ending", "introduction", "order", "coherence")
"""The parts whose mean (with order twice) is the score of the story ..."""
LANGUAGE_PARTS = ("words", "grammar", "variety")
"""... and the parts that this mean is multiplied by."""
ENOUGH = 4
"""Least number of parts that have to be judged. Missing parts up to this number count as 0."""


def consistency(text: str, plan: Plan | Mapping[str, Any] | None = None) -> Scores:
    """Score `text`, which may be any string. Without `plan` (a Plan, or its mapping) the hero is the first name of the
    story world in the text, and the want is read from the text's words. The score is for stories of the built-in world
    only: a good story of another kind has words and phrases that true stories lack, and scores low."""
    facts = plan.as_dict() if isinstance(plan, Plan) else dict(plan or {})
    told = sentences(text)
    cast = facts.get("characters") or [{}]
    hero = cast[0].get("name") or _first_name(told)
    pronoun = cast[0].get("pronoun") or _HEROES.get(hero, "")
    known = tokens(text)
    rows = read(text)
    return Scores(
        name=_keeps_name(told, hero),
        pronoun=_keeps_pronoun(told, hero, pronoun),
        want=_keeps_want(told, facts.get("thing", "")),
        ending=_ends(told),
        introduction=introduction(rows),
        order=order(rows),
        coherence=coherence(rows),
        words=sum(word in word_forms() for word in known) / len(known) if known else None,
        grammar=grammar(rows),
        variety=variety(rows),
    )


def control_scores(seed: int, stories: int) -> dict[str, list[Scores]]:
    """Return the scores of `stories` true stories, and of these stories damaged in each way of controls.CONTROLS, from
    the best to the worst. They give a model's score its scale."""
    tales = [story(seed, index) for index in range(stories)]
    return {name: [consistency(control(name, tale)) for tale in tales] for name in CONTROLS}


def ceiling_and_floor(seed: int, stories: int) -> tuple[Scores, Scores]:
    """Return the mean scores of `stories` true stories, and of these stories with their words shuffled."""
    tales = [story(seed, index) for index in range(stories)]
    ends = ("true stories", "words shuffled")
    ceiling, floor = (mean([consistency(control(name, tale)) for tale in tales]) for name in ends)
    return ceiling, floor


def mean(scores: Sequence[Scores]) -> Scores:
    """Return the mean of each part over the texts in which it could be judged, None where it could be judged in no
    text. The `overall` of the result is computed from these means. It differs a little from the mean of the texts'
    `overall`."""
    columns = {field.name: [getattr(score, field.name) for score in scores] for field in fields(Scores)}
    known = {name: [value for value in values if value is not None] for name, values in columns.items()}
    return Scores(**{name: sum(values) / len(values) if values else None for name, values in known.items()})


def _names(sentence: str) -> set[str]:
    return {name for name in _NAME.findall(sentence) if name in _HEROES}


def _first_name(told: list[str]) -> str:
    return next((name for sentence in told for name in _NAME.findall(sentence) if name in _HEROES), "")


def _keeps_name(told: list[str], hero: str) -> float | None:
    """Return 1 if the hero is named in the second half, divided by the number of heroes' names where these are more
    than two. None where the text names nobody."""
    if not hero:
        return None
    if not any(hero in _NAME.findall(sentence) for sentence in told[max(1, len(told) // 2) :]):
        return 0.0
    crowd = set().union(*map(_names, told))
    return min(1.0, 2 / len(crowd | {hero}))


def _keeps_pronoun(told: list[str], hero: str, pronoun: str) -> float | None:
    """Return the share of passages with the hero's pronoun, among the passages that have a pronoun; None without any.

    A passage runs from the hero's name to the next person or the end of the sentence. After a sentence with the hero
    alone, a passage also runs from the start of the next sentence to the next person. "She" and "he" count first; other
    forms, which may belong to somebody else, count only in passages without "she" and "he". Text in quotation marks is
    left out, because it may be about anybody."""
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
    return None


def _keeps_want(told: list[str], thing: str) -> float | None:
    """Return 1 if the thing is named again after the sentence that wants it, else 0.

    Without a given thing, the thing is any noun that is named in a sentence with a want, in the next sentence, or in
    the nearest earlier sentence that names a thing. None where no thing is given and nothing is wanted."""
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
    return 0.0 if wants else None


def _ends(told: list[str]) -> float | None:
    if not told:
        return None
    feelings, lessons = closing_words()
    close = " ".join(told[-4:])
    felt = any(feeling in tokens(close) or f" {feeling}" in close for feeling in feelings)
    learnt = bool(_LEARNT.search(close)) or any(lesson in close.lower() for lesson in lessons)
    stopped = told[-1].rstrip('"').endswith((".", "!", "?"))
    return 0.4 * felt + 0.4 * learnt + 0.2 * stopped
