"""The story world: any number of short stories for children, each planned first and then told.

>>> from lilliput import storybook
>>> storybook.story(seed=0, index=0).plan.hero.kind in {"girl", "boy", *storybook.KINDS}
True

| module | what it holds |
|---|---|
| `people`, `scenery`, `barriers` | the world: its people and animals, places and times, places out of reach |
| `plots/` | the plots, one a file |
| `plot` | the base class of plots, and the draw of cast, scene and case |
| `phrases`, `grammar`, `tale` | the telling of a story: sentences, grammar, order |
| `plan` | the ground truth of every story |
| `vocabulary`, `usage` | the words of the world, and counts over true stories |
| `consistency`, `telling`, `hero` | scores for generated text |
| `short`, `briefs` | the same plots and plans in a paragraph of four to eight sentences |
| `instructions`, `questions`, `preferences` | rows that teach, made from short stories |
| `refusals`, `arithmetic`, `tasks` | further rows that teach, and what all of them share |
| `belongings` | who has what, and questions for it: texts that teach and measure recall |
| `rules` | scores of a completion by the columns of its prompt |
| `minimal_pairs` | pieces of stories that differ in one word, with the word that each asks for, next or before |
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
