"""The story world as a whole: draw a plan, tell its story, count the plans."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from random import Random

from lilliput.base.seeds import derive
from lilliput.storybook.plan import Plan
from lilliput.storybook.plot import PLOTS, Plot, draw, write_down
from lilliput.storybook.tale import Tale

VERSION = 1
"""Raise this number whenever the same seed gives other texts, because caches of tokens depend on it."""
SHORTEST, LONGEST = 60, 250
"""Words of a story."""


@dataclass(frozen=True, slots=True)
class Story:
    """A story: its text in ASCII, with paragraphs separated by a blank line, and its plan."""

    text: str
    plan: Plan


@cache
def plots() -> tuple[tuple[str, Plot], ...]:
    """Return every plot by its name, in the order of names."""
    return tuple((name, PLOTS[name]()) for name in PLOTS)


def story(seed: int, index: int) -> Story:
    """Return story number `index` of `seed`. It is always the same, whatever stories were made before."""
    random = Random(derive(seed, "story", index))
    every = plots()
    while True:
        name, plot = every[int(random.random() * len(every))]
        sketch, outline = draw(plot, random)
        tale = Tale(sketch)
        plot.tell(tale)
        text = tale.text()
        if SHORTEST <= len(text.split()) <= LONGEST:
            return Story(text, write_down(name, sketch, outline, text))


def count_plans() -> int:
    """Return a lower bound on the number of distinct plans: the sum of the plots' own bounds (see Plot.count)."""
    return sum(plot.count() for _, plot in plots())
