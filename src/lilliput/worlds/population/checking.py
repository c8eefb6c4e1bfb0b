"""Reports of people and of diaries: their fit to the tables, contradictions, and money by category."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from lilliput.base.errors import DataError
from lilliput.base.statistics import wilson
from lilliput.worlds.population.files import Diary
from lilliput.worlds.population.fit import fit_of
from lilliput.worlds.population.marginals import Marginals
from lilliput.worlds.population.people import Person
from lilliput.worlds.population.rules import contradictions
from lilliput.worlds.population.words import CATEGORIES, INTERESTS, NOT_WORKING


def check_people(people: Sequence[Person], marginals: Marginals) -> dict[str, Any]:
    """Return the fit of people to tables (fit_of), and the share of people with a contradiction in themselves."""
    found = fit_of(people, marginals)
    return found | {"contradicting": share(sum(map(_contradicts, people)), len(people))}


def _contradicts(person: Person) -> bool:
    """Whether a person has a job without working or works without one, an unknown or a double interest, or a friend
    twice."""
    return (
        (person.job is None) != (person.sector in NOT_WORKING)
        or any(name not in INTERESTS for name in person.interests)
        or len(set(person.interests)) < len(person.interests)
        or len(set(person.friends)) < len(person.friends)
    )


def check_diaries(diaries: Sequence[Diary]) -> dict[str, Any]:
    """Return the days that contradict the person or the heading, as a share with its interval and by reason, the euros
    a day and person of each category, and interactions a day. Raises DataError without days."""
    days = [(diary.person, day) for diary in diaries for day in diary.days]
    if not days:
        raise DataError("there are no days in the diaries")
    found = [contradictions(person, day) for person, day in days]
    reasons = Counter(line.split(" ")[0] for lines in found for line in lines)
    euros = Counter[str]()
    for _, day in days:
        for each in day.expenses:
            euros[each.category] += each.euros
    return {
        "people": len(diaries),
        "days": len(days),
        "contradicting": share(sum(map(bool, found)), len(days)),
        "reasons": dict(reasons.most_common()),
        "examples": [line for lines in found for line in lines][:5],
        "euros_a_day": {name: euros[name] / len(days) for name in CATEGORIES},
        "interactions_a_day": sum(len(day.interactions) for _, day in days) / len(days),
    }


def share(count: int, items: int) -> dict[str, float]:
    """Return a share with its 95% interval (Wilson)."""
    low, high = wilson(count, items)
    return {"share": count / items, "low": low, "high": high}
