"""The table of marks in the TinyStories paper's shape: a row a model, raw and normalised, between floor and ceiling."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from lilliput.base.seeds import derive
from lilliput.base.statistics import interval
from lilliput.evaluation.judge.proxies import PROXIES
from lilliput.evaluation.judge.story import CRITERIA, JudgedStory, Marks
from lilliput.storybook.vocabulary import sentences

HUMAN, SENTENCES, SHUFFLED = "human text (ceiling)", "shuffled sentences", "shuffled words (floor)"


def human_stories(texts: Sequence[str], share: float = 0.4) -> list[JudgedStory]:
    """Split stories by people into prompt and completion: the first `share` of each story's words is the prompt."""
    stories = []
    for text in texts:
        parts = text.split(" ")
        at = max(1, round(len(parts) * share))
        if at < len(parts):
            stories.append(JudgedStory(" ".join(parts[:at]), " " + " ".join(parts[at:])))
    return stories


def shuffled(stories: Sequence[JudgedStory], seed: int = 0) -> list[JudgedStory]:
    """Return the stories with the words of each completion in random order, the floor for every judge."""
    made = []
    for story in stories:
        parts = story.completion.split()
        Random(derive(seed, "shuffled", story.completion)).shuffle(parts)
        made.append(JudgedStory(story.beginning, " " + " ".join(parts)))
    return made


def shuffled_sentences(stories: Sequence[JudgedStory], seed: int = 0) -> list[JudgedStory]:
    """Return the stories with the sentences of each completion in random order: good sentences, and no story."""
    made = []
    for story in stories:
        parts = sentences(story.completion)
        Random(derive(seed, "shuffled sentences", story.completion)).shuffle(parts)
        made.append(JudgedStory(story.beginning, " " + " ".join(parts)))
    return made


def judged_row(marks: Sequence[Marks]) -> dict[str, Any]:
    """Return mean and 95% interval by criterion, and the number of times that each age group was guessed."""
    row = {name: _cell([mark.grades[name] for mark in marks]) for name in CRITERIA}
    ages = Counter(mark.age_group for mark in marks)
    return {"stories": len(marks), "scores": row, "age_groups": {age: ages[age] for age in sorted(ages)}}


def proxy_row(values: Mapping[str, Sequence[float]], stories: int) -> dict[str, Any]:
    """Return mean and 95% interval by proxy. A proxy with one value for all stories has no interval."""
    return {"stories": stories, "scores": {name: _cell(found) for name, found in values.items()}}


def _cell(values: Sequence[float]) -> dict[str, Any]:
    known = [value for value in values if not math.isnan(value)]
    if not known:
        return {"mean": math.nan, "interval": None}
    return {"mean": sum(known) / len(known), "interval": interval(known) if len(known) > 1 else None}


def normalise(rows: Mapping[str, dict[str, Any]]) -> None:
    """Add to every score of every row `normalised` = (score - lowest) / (best - lowest), with the lowest and the best
    score of the column, so that the worst row has 0 and the best row 1. NaN where all rows are equal."""
    columns = dict.fromkeys(name for row in rows.values() for name in row["scores"])
    for name in columns:
        cells = [row["scores"][name] for row in rows.values() if name in row["scores"]]
        sign = -1 if name in PROXIES and PROXIES[name].better == "lower" else 1
        values = [sign * cell["mean"] for cell in cells if not math.isnan(cell["mean"])]
        lowest, best = min(values, default=math.nan), max(values, default=math.nan)
        for cell in cells:
            span = best - lowest
            cell["normalised"] = (sign * cell["mean"] - lowest) / span if span else math.nan
