"""Figures: how many answers people gave, their minutes, and what an answer costs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from statistics import median
from typing import Any

from lilliput.lab.labelling.record import MOST, Record
from lilliput.lab.labelling.store import live


def figures(records: Sequence[Record], hourly_wage: float | None = None) -> dict[str, Any]:
    """Figures of the lines of labels files, in all and by labeller.

    answers, skips, undone    counts; `by_mode` counts the answers
    minutes                   time of all lines: of skipped and undone ones too
    answers_per_hour          answers over that time; None without any time
    median_seconds            of the answers that count; None without answers
    cost, cost_per_answer     at `hourly_wage`; None without a wage
    first_places              rankings whose single best reply was shown at place 1, 2, 3, 4: a habit of pressing one
                              key shows here
    """
    names = sorted({record.labeller for record in records})
    total = _of(records, hourly_wage)
    labellers = {name: _of([record for record in records if record.labeller == name], hourly_wage) for name in names}
    return {**total, "labellers": labellers}


def _of(records: Sequence[Record], wage: float | None) -> dict[str, Any]:
    answers = live(records)
    events = Counter(record.event for record in records)
    hours = sum(record.seconds for record in records) / 3600
    cost = None if wage is None else hours * wage
    return {
        "answers": len(answers),
        "by_mode": dict(Counter(record.mode for record in answers)),
        "skips": events["skip"],
        "undone": events["undo"],
        "minutes": hours * 60,
        "answers_per_hour": len(answers) / hours if hours else None,
        "median_seconds": median(record.seconds for record in answers) if answers else None,
        "hourly_wage": wage,
        "cost": cost,
        "cost_per_answer": None if cost is None or not answers else cost / len(answers),
        "first_places": _first_places(answers),
    }


def _first_places(answers: Sequence[Record]) -> list[int]:
    places = [0] * MOST
    for record in answers:
        if isinstance(record.answer, tuple) and len(record.answer[0]) == 1:
            places[record.shown.index(record.answer[0][0])] += 1
    return places
