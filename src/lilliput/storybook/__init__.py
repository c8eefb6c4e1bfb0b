"""The story world: short stories for children, planned and then told, as many as one likes.

>>> from lilliput.data import storybook
>>> storybook.story(seed=0, index=0).plan.hero.kind in {"girl", "boy", *storybook.KINDS}
True

| module | what it holds |
|---|---|
| `people`, `scenery`, `barriers` | the world: who lives in it, where and when, what is out of reach |
| `plots/` | what can happen, one plot a file |
| `plot` | what a plot is, and the draw of cast, scene and case |
| `phrases`, `grammar`, `tale` | how a story is told |
| `plan` | the ground truth that every story carries |
| `vocabulary`, `usage` | the words of the world, and what is usual in it |
| `consistency`, `telling`, `hero` | scores for what a model generates |
| `controls` | true stories damaged on purpose, which a score has to rank |
"""

from lilliput.storybook.consistency import Scores, ceiling_and_floor, consistency, control_scores
from lilliput.storybook.openings import ENDINGS, OPENINGS
from lilliput.storybook.people import KINDS
from lilliput.storybook.plan import Character, Plan
from lilliput.storybook.vocabulary import sentences, tokens, word_forms
from lilliput.storybook.world import VERSION, Story, count_plans, story

__all__ = [
    "ENDINGS",
    "KINDS",
    "OPENINGS",
    "VERSION",
    "Character",
    "Plan",
    "Scores",
    "Story",
    "ceiling_and_floor",
    "consistency",
    "control_scores",
    "count_plans",
    "sentences",
    "story",
    "tokens",
    "word_forms",
]
