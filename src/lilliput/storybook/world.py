"""The story world as a whole: draws a plan, tells it, counts what there is."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from random import Random

from lilliput.base.seeds import derive
from lilliput.storybook.plan import Plan
from lilliput.storybook.plot import PLOTS, Plot, draw, write_down
from lilliput.storybook.tale import Tale

VERSION = 1
"""Raised whenever the same seed would tell other texts, since caches of tokens depend on it."""
SHORTEST, LONGEST = 60, 250
"""Words of a story."""


@dataclass(frozen=True, slots=True)
class Story:
    """A told story: paragraphs separated by a blank line, in ASCII, and the plan behind it."""

    text: str
    plan: Plan


@cache
def plots() -> tuple[tuple[str, Plot], ...]:
    """Every plot under its name, in the order of names."""
    return tuple((name, PLOTS[name]()) for name in PLOTS)


def story(seed: int, index: int) -> Story:
    """Story number `index` of `seed`: always the same one, whatever was told before."""
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
    """A lower bound on the number of distinct plans: the sum of the plots' own bounds (see Plot.count)."""
    return sum(plot.count() for _, plot in plots())
