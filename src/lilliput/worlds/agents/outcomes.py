"""What a town's days come to: euros, tram rides and meetings a day, and the difference that a policy makes."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lilliput.base.errors import DataError
from lilliput.base.statistics import interval
from lilliput.worlds.population.days import PLAN, Day, read_day
from lilliput.worlds.population.words import CATEGORIES

MEASURES = (
    *(f"{name} euros" for name in CATEGORIES),
    "tram rides",
    "meetings",
    "had no money",
    "declined euros",
)
"""The figures of a person and day."""


def measures(day: Day, declined: int) -> list[float]:
    """Return the figures of a day, in the order of MEASURES."""
    euros: dict[str, int] = dict.fromkeys(CATEGORIES, 0)
    for each in day.expenses:
        euros[each.category] += each.euros
    return [
        *(euros[name] for name in CATEGORIES),
        float("I took the tram" in day.text),
        sum(not each.about.startswith(PLAN) for each in day.interactions),
        float("no money" in day.text),
        declined,
    ]


def results_of(folder: Path, arms: Sequence[str], days: int, from_day: int) -> dict[str, Any]:
    """Return the results of a simulation.

    series    for each arm and measure, the mean over people of each day
    outcomes  for each measure the mean a person and day from `from_day` on in each arm; with a policy also its
              difference to the control and the 95% interval of it, by bootstrap over people
    left      for each arm the euros in an account at the end, and those that are owed for the home, means over people

    Raises DataError for a damaged file of a day.
    """
    series: dict[str, dict[str, list[float]]] = {}
    means: dict[str, np.ndarray] = {}
    left: dict[str, dict[str, float]] = {}
    for arm in arms:
        total, rows = None, []
        for day in range(1, days + 1):
            kept = day_file(folder, arm, day)
            lines = read_day_file(kept if kept.is_file() else day_file(folder, arms[0], day))
            found = np.array([measures(read_day(row["day"]), row["declined"]) for row in lines])
            left[arm] = {name: float(np.mean([row[name] for row in lines])) for name in ("euros", "owed")}
            rows.append(found.mean(0))
            if day >= from_day:
                total = found if total is None else total + found
        series[arm] = dict(zip(MEASURES, np.array(rows).T.tolist(), strict=True))
        assert total is not None
        means[arm] = total / (days - from_day + 1)
    return {"series": series, "outcomes": _outcomes(means, arms), "left": left}


def day_file(folder: Path, arm: str, day: int) -> Path:
    """The file of a day, counted from 1."""
    return folder / arm / f"day-{day:03d}.jsonl.gz"


def read_day_file(file: Path) -> list[dict[str, Any]]:
    """Return the rows of a day, one for each person. Raises DataError for a damaged file."""
    try:
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            rows = [json.loads(line) for line in lines]
        if not rows or not all({"euros", "owed", "asked", "declined", "day"} <= row.keys() for row in rows):
            raise ValueError("a row lacks a field")
    except (OSError, EOFError, ValueError, AttributeError, zlib.error) as error:
        raise DataError(
            f"{file} is damaged: {error}", "delete it and the days after it, and type the command again"
        ) from None
    return rows


def _outcomes(means: dict[str, np.ndarray], arms: Sequence[str]) -> dict[str, dict[str, float]]:
    found = dict[str, dict[str, float]]()
    for place, name in enumerate(MEASURES):
        found[name] = {arm: float(means[arm][:, place].mean()) for arm in arms}
        if len(arms) > 1:
            gaps = means[arms[1]][:, place] - means[arms[0]][:, place]
            low, high = interval(gaps.tolist())
            found[name] |= {"difference": float(gaps.mean()), "low": low, "high": high}
    return found
