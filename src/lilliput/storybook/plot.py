"""The base class of plots, with its cases, the draw of the cast, the sketch of a story and the count of plans."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from random import Random
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from lilliput.base.registry import Registry
from lilliput.storybook.grammar import Person, Place, capital, creature
from lilliput.storybook.people import (
    ANIMAL_DETAILS,
    ANIMALS,
    CHILD_DETAILS,
    CHILDREN,
    CREATURES,
    ELDERS,
    NATURES,
    NO_DETAIL,
)
from lilliput.storybook.plan import Character, Plan
from lilliput.storybook.scenery import TIMES, Weather

if TYPE_CHECKING:
    from lilliput.storybook.tale import Tale

T = TypeVar("T")
PLOTS = Registry[type["Plot"]]("plot", "lilliput.storybook.plots")
"""Every plot. A new plot is a new file in `plots/`."""
SHARE_OF_CHILDREN = 0.75
SHARE_WITHOUT_WEATHER = 0.25


class Length(IntEnum):
    """The length of a story: without the optional parts of its plot, with some of them, with all of them."""

    SHORT = 0
    MEDIUM = 1
    LONG = 2


LENGTHS = (Length.SHORT,) * 3 + (Length.MEDIUM,) * 6 + (Length.LONG,) * 11


@dataclass(frozen=True)
class Case:
    """A case of a plot. Subclasses add the fields that their plot needs, as phrases in the story's words."""

    place: Place
    weather: tuple[Weather, ...]


@dataclass(frozen=True, slots=True)
class End:
    """An end of a plot. `kind` is happy, neutral or sad. `weight` is its frequency, relative to the plot's other ends.
    `lessons` are clauses that follow "learned that"."""

    kind: str
    weight: int
    feelings: tuple[str, ...]
    lessons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outline:
    """The decisions of a plot beyond the cast and the scene; Plan explains each field."""

    thing: str
    want: str
    obstacle: str
    attempts: tuple[str, ...]
    resolution: str
    objects: tuple[str, ...] = ()
    helper: str = ""
    words: tuple[str, ...] = ()


@dataclass(slots=True)
class Sketch:
    """A story in the making: the values that have been drawn so far. `slots` are the names that templates use."""

    random: Random
    case: Any
    ending: str
    length: Length
    slots: dict[str, Any] = field(default_factory=dict)
    people: list[tuple[str, Person]] = field(default_factory=list)

    def pick(self, options: Sequence[T]) -> T:
        """Draw one of `options`, each equally likely."""
        return options[int(self.random.random() * len(options))]

    def two(self, options: Sequence[T]) -> tuple[T, T]:
        """Draw two different options, in any order."""
        first = int(self.random.random() * len(options))
        second = int(self.random.random() * (len(options) - 1))
        return options[first], options[second + (second >= first)]

    def cast(self, role: str, person: Person) -> Person:
        """Give `person` a part: a slot called `role`, and a place among the plan's characters."""
        self.slots[role] = person
        self.people.append((role, person))
        return person

    def meet(self, role: str, kind: str) -> Person:
        """Cast somebody of CREATURES, who has no name, such as "the crow"."""
        return self.cast(role, creature(kind, self.pick(CREATURES[kind])))

    def let(self, **phrases: str) -> None:
        """Make each phrase a slot, with the slots known so far filled in."""
        for name, phrase in phrases.items():
            self.slots[name] = phrase.format_map(self.slots) if "{" in phrase else phrase

    def attempts(self, first: str, second: str) -> tuple[str, ...]:
        """Return the tries that are told: none in a short story, the first in a medium story, all in a long story."""
        return (first, second)[: self.length]


class Plot:
    """A kind of story. A subclass names its cases and its ends, decides the events in `plan`, and tells them in `tell`.
    The cast, the scene, the opening and the close are common to all plots."""

    cases: ClassVar[tuple[Any, ...]]
    ends: ClassVar[tuple[End, ...]]
    friend: ClassVar[bool] = False
    """Whether a friend of the hero takes part."""
    unfit: ClassVar[frozenset[str]] = frozenset()
    """Natures that would contradict the plot."""

    def __init__(self) -> None:
        self.likely_ends = tuple(end for end in self.ends for _ in range(end.weight))
        self.natures = tuple(nature for nature in NATURES if nature not in self.unfit)

    def plan(self, sketch: Sketch) -> Outline:
        """Decide the events, from the cast and the case of `sketch`. May cast more people and fill slots."""
        raise NotImplementedError

    def tell(self, tale: Tale) -> None:
        """Tell the story, from `tale.open()` to `tale.close(...)`."""
        raise NotImplementedError

    def things(self) -> tuple[str, ...]:
        """Return the nouns that may be the thing of a story of this plot (see Plan.thing)."""
        return tuple(case.thing for case in self.cases)

    def count(self) -> int:
        """Return a lower bound on the distinct plans of this plot: the product of the independent draws that `draw`
        makes and the plan records, summed over cases and endings. Further draws of `plan` are not counted."""
        casts = 0
        for people, details in ((CHILDREN, CHILD_DETAILS), (ANIMALS, ANIMAL_DETAILS)):
            friends = len({str(person) for person in people}) - 1 if self.friend else 1
            casts += len(set(people)) * len(set(details)) * friends
        casts *= len(set(self.natures))
        scenes = len(set(TIMES)) * sum(len(set(case.weather)) + 1 for case in self.cases)
        ends = sum(len(set(end.feelings)) * len(set(end.lessons)) for end in self.ends)
        return casts * scenes * ends


def draw(plot: Plot, random: Random, ending: str = "", short: bool = False) -> tuple[Sketch, Outline]:
    """Draw the cast, the scene and the case of a story, and let `plot` decide the events.

    `ending` replaces the drawn end by the plot's end of this kind. Every other draw stays the same, as far as `plot`
    allows it. `short` gives a short story without a detail of its hero. Raises ValueError where the plot has no such
    end."""
    sketch = Sketch(random, None, "", LENGTHS[int(random.random() * len(LENGTHS))])
    if short:
        sketch.length = Length.SHORT
    pick, slots = sketch.pick, sketch.slots
    sketch.case = case = pick(plot.cases)
    end = pick(plot.likely_ends)
    if ending and end.kind != ending:
        end = next((other for other in plot.ends if other.kind == ending), None)
        if end is None:
            raise ValueError(f"this plot has no {ending} end")
    sketch.ending = end.kind

    child = random.random() < SHARE_OF_CHILDREN
    people = CHILDREN if child else ANIMALS
    hero = sketch.cast("hero", pick(people))
    slots.update(hero.forms)
    detail = pick(CHILD_DETAILS if child else ANIMAL_DETAILS)
    if short:
        detail = NO_DETAIL
    if plot.friend:
        friend = pick(people)
        while friend == hero:
            friend = pick(people)
        sketch.cast("friend", friend)
    sketch.cast("elder", pick(ELDERS))
    weather = None if random.random() < SHARE_WITHOUT_WEATHER else pick(case.weather)
    lesson = pick(end.lessons)
    slots.update(
        nature=pick(plot.natures),
        detail=detail,
        place=case.place,
        time=pick(TIMES),
        weather=weather,
        feeling=pick(end.feelings),
        lesson=lesson,
        Lesson=capital(lesson),
    )
    return sketch, plot.plan(sketch)


def write_down(name: str, sketch: Sketch, outline: Outline, text: str) -> Plan:
    """Return the plan of a told story. A cast person who does not appear in the text is left out of the plan."""
    slots, (_, hero) = sketch.slots, sketch.people[0]
    detail, weather = slots["detail"], slots["weather"]
    told = {detail.kind: detail.text} if detail.kind else {}
    characters = [Character(str(hero), hero.kind, hero.he, "hero", traits=(slots["nature"],), **told)]
    characters += [
        Character(str(who), who.kind, who.he, role)
        for role, who in sketch.people[1:]
        if who in text or who.Name in text
    ]
    place, sky, thing = str(slots["place"]), str(weather.sky) if weather else "", str(outline.thing)
    words = (hero.kind, slots["nature"], thing, sky, place, slots["feeling"], *outline.words)
    return Plan(
        plot=name,
        characters=tuple(characters),
        thing=thing,
        objects=outline.objects,
        place=place,
        time=slots["time"],
        season=weather.season if weather else "",
        weather=sky,
        want=outline.want,
        obstacle=outline.obstacle,
        attempts=outline.attempts,
        helper=str(outline.helper),
        resolution=outline.resolution,
        ending=sketch.ending,
        feeling=slots["feeling"],
        lesson=slots["lesson"],
        words=tuple(dict.fromkeys(word for word in words if word)),
    )
