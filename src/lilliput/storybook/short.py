"""Short stories of the world: the same plots and plans, told in four to eight sentences that fit into a short reply."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cache
from random import Random

from lilliput.base.seeds import derive
from lilliput.storybook import phrases
from lilliput.storybook.briefs import BRIEFS
from lilliput.storybook.grammar import article, capital
from lilliput.storybook.plan import Plan
from lilliput.storybook.plot import Plot, draw, write_down
from lilliput.storybook.tale import Tale
from lilliput.storybook.world import plots

LONGEST = 84
"""Words of a short story at most. A longer draft is replaced by another."""
_WORD = re.compile(r"[a-z]+(?:'[a-rt-z][a-z]*)?")
ENDS = ("happy", "sad", "neutral")


@dataclass(frozen=True, slots=True)
class ShortStory:
    """A short story and its plan.

    opening    the first sentence
    beginning  the opening and the sentences with the hero's want
    rest       the sentences after the beginning
    summary    the story in a sentence
    wanted     the hero's want in a sentence
    outcome    what happened at the end, in a sentence
    why        a question for the reason of the trouble, and its answer
    where      the place with its preposition, such as "in the park"; '' where the text has no place

    The text has the plan's characters, thing, place, weather, feeling, lesson and words. The other phrases of the plan
    may stand in other words, or be left out.
    """

    text: str
    plan: Plan
    opening: str
    beginning: str
    rest: str
    summary: str
    wanted: str
    outcome: str
    why: tuple[str, str]
    where: str


@cache
def plots_with(ending: str) -> tuple[tuple[str, Plot], ...]:
    """Return the plots with a brief, by name: those with an end of this kind, or all where `ending` is ''."""
    return tuple((name, plot) for name, plot in plots() if name in BRIEFS and (not ending or ending in _kinds(plot)))


def short_story(seed: int, index: int, ending: str = "") -> ShortStory:
    """Return short story number `index` of `seed`, always the same. `ending` (happy, sad, neutral) asks for this end;
    without it the ends are as frequent as in `story`."""
    random = Random(derive(seed, "short story", ending, index))
    every = plots_with(ending)
    while True:
        name, plot = every[int(random.random() * len(every))]
        told = _told(name, plot, random.getrandbits(64), ending)
        if len(told.text.split()) <= LONGEST:
            return told


def two_ends(seed: int, index: int) -> tuple[ShortStory, ShortStory]:
    """Return two short stories of one plot, case and cast with different ends, which begin with the same sentences."""
    random = Random(derive(seed, "two ends", index))
    every = [(name, plot) for name, plot in plots_with("") if len(_kinds(plot)) > 1]
    while True:
        name, plot = every[int(random.random() * len(every))]
        kinds, key = list(_kinds(plot)), random.getrandbits(64)
        random.shuffle(kinds)
        first, second = (_told(name, plot, key, kind) for kind in kinds[:2])
        fits = all(len(each.text.split()) <= LONGEST for each in (first, second))
        if fits and first.plan.hero == second.plan.hero and first.opening == second.opening:
            return first, second


def _kinds(plot: Plot) -> tuple[str, ...]:
    return tuple(dict.fromkeys(end.kind for end in plot.ends))


def _told(name: str, plot: Plot, key: int, ending: str) -> ShortStory:
    sketch, outline = draw(plot, Random(key), ending, short=True)
    tale, slots, brief = Tale(sketch), sketch.slots, BRIEFS[name]
    # The words are drawn apart from the plan, so that two ends of one plan have the same opening.
    sketch.random.seed(derive("words", key))
    weather = slots["weather"]
    if weather is not None:
        slots["sky"], slots["season"] = weather.sky, weather.season
    slots["when"] = tale.phrase(phrases.WHEN if weather else phrases.WHEN_PLAIN)
    nature = slots["nature"]
    slots["sort"] = f"{article(nature)} {nature} {slots['hero'].kind}"
    opening = tale.phrase(phrases.MEET[""])
    start, middle = tale.phrase(brief.start), tale.phrase(brief.ends[sketch.ending])
    feeling, lesson = tale.phrase(phrases.FEEL[sketch.ending]), tale.phrase(phrases.LEARNT)
    close = f"{feeling} {lesson}" if tale.chance(0.6) else f"{lesson} {feeling}"
    text = f"{opening} {start} {middle} {close}"
    plan = _only_told(write_down(name, sketch, outline, text), text)
    outcome = brief.outcome[sketch.ending].format_map(slots)
    return ShortStory(
        text=text,
        plan=plan,
        opening=opening,
        beginning=f"{opening} {start}",
        rest=f"{middle} {close}",
        summary=_sentence(f"{brief.summary.format_map(slots)}, and in the end, {outcome}"),
        wanted=_sentence(f"{slots['hero']} wanted {brief.wanted.format_map(slots)}"),
        outcome=_sentence(f"In the end, {outcome}"),
        why=(brief.why[0].format_map(slots), _sentence(brief.why[1].format_map(slots).rstrip("."))),
        where=slots["place"].at if plan.place else "",
    )


def _only_told(plan: Plan, text: str) -> Plan:
    """Return the plan without the place, the thing and the words that the short text leaves out."""
    told = f" {' '.join(_WORD.findall(text.lower()))} "
    words = tuple(word for word in plan.words if f" {word} " in told)
    place, thing = (each if f" {each} " in told else "" for each in (plan.place, plan.thing))
    return replace(plan, words=words, place=place, thing=thing)


def _sentence(clause: str) -> str:
    return f"{capital(clause)}."
