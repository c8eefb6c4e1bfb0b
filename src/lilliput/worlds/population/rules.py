"""How people live, by rule: the text of a day from a person and the day's heading, and the contradictions in it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lilliput.worlds.population.days import PLAN, Day, Expense, Heading, Interaction, day
from lilliput.worlds.population.people import Person
from lilliput.worlds.population.words import CHORES, DISHES, INTERESTS, SHIFTS, Interest

LUNCH_FROM = 12
"""Euros to spend from which a person may buy lunch."""
LUNCHES = 0.6
GOES_OUT = {True: 0.35, False: 0.75}
"""How often an evening has an interest in it: on working days, and on free days."""
PLANS = 0.2
"""How often a friend is asked on another evening."""
TOGETHER = 0.4
WELL_OFF = 3000
"""Euros of income from which food is dearer."""
EATERS = {"couple": 2, "family": 3}


def by_rule(person: Person, heading: Heading, rng: np.random.Generator) -> Day:
    """Return a day that the person may have had."""
    parts, left = list[str](), heading.spend
    if heading.due:
        parts.append(f"I paid for my home. {Expense(heading.due, 'Housing', 'Home')}")
    working = works_on(person, heading.weekday)
    if working:
        for text, euros in (_way(person, heading, left), _lunch(person, heading, rng, left)):
            parts.append(text)
            left -= euros
    if heading.weekday == person.shops:
        text, euros = _groceries(person, rng, left)
        parts.append(text)
        left -= euros
    parts.append(_evening(person, heading, working, rng, left))
    return day(heading, "".join(f" {part}" for part in parts))


def works_on(person: Person, weekday: str) -> bool:
    """Whether a person goes to work, or to class, on a day of the week."""
    free = ("Sunday", "Monday") if person.sector in SHIFTS else ("Saturday", "Sunday")
    return person.works and weekday not in free


def takes_tram(person: Person, heading: Heading) -> bool:
    """Whether a person who goes to work takes the tram."""
    return heading.tram <= min(person.fare, heading.spend)


def _way(person: Person, heading: Heading, left: int) -> tuple[str, int]:
    goal = "class" if person.job is None else "work"
    if not takes_tram(person, heading):
        return (f"I walked to {goal} in the rain." if heading.weather == "rain" else f"I cycled to {goal}."), 0
    if not heading.tram:
        return f"I took the tram to {goal} for free.", 0
    return f"I took the tram to {goal}. {Expense(heading.tram, 'Transport', 'Tram')}", heading.tram


def _lunch(person: Person, heading: Heading, rng: np.random.Generator, left: int) -> tuple[str, int]:
    if left < LUNCH_FROM or rng.random() >= LUNCHES:
        return "I had bread from home for lunch.", 0
    euros = int(rng.integers(4, 9)) + (3 if person.income >= WELL_OFF else 0)
    return f"I had {rng.choice(DISHES)} for lunch. {Expense(euros, 'Food', 'Canteen')}", euros


def _groceries(person: Person, rng: np.random.Generator, left: int) -> tuple[str, int]:
    if left < 5:
        return "I had no money for groceries.", 0
    wanted = EATERS.get(person.household, 1) * int(rng.integers(8, 16)) + (6 if person.income >= WELL_OFF else 0)
    euros = min(wanted, left)
    return f"I bought groceries. {Expense(euros, 'Groceries', person.shop)}", euros


def _evening(person: Person, heading: Heading, working: bool, rng: np.random.Generator, left: int) -> str:
    if heading.asked and (asked := INTERESTS.get(heading.about or "")):
        if asked.euros > left:
            return f"I told {heading.asked} that I had no money for {asked.name}."
        return _done(asked, heading.asked)
    if rng.random() < GOES_OUT[working]:
        interest = INTERESTS[str(rng.choice(person.interests))]
        if interest.euros > left:
            return f"I stayed at home because I had no money for {interest.name}."
        friend = str(rng.choice(person.friends)) if person.friends else None
        return _done(interest, friend if interest.together and rng.random() < TOGETHER else None)
    if person.friends and rng.random() < PLANS:
        shared = [name for name in person.interests if INTERESTS[name].together]
        if shared:
            friend, name = str(rng.choice(person.friends)), str(rng.choice(shared))
            return f"I asked {friend} about {name}. {Interaction(friend, PLAN + name)}"
    return f"I {rng.choice(CHORES)}."


def _done(interest: Interest, friend: str | None) -> str:
    who = f"I met {friend} and we {interest.doing}." if friend else f"I {interest.doing}."
    tags = [Interaction(friend, interest.name)] if friend else []
    tags += [Expense(interest.euros, "Leisure", interest.place)] if interest.euros else []
    return " ".join([who, *map(str, tags)])


def contradictions(person: Person, day: Day) -> list[str]:
    """Return a line for each thing in a day that the person or the heading contradicts; none for a day by rule."""
    return [*_money(person, day), *_deeds(person, day)]


def _money(person: Person, day: Day) -> Iterator[str]:
    heading = day.heading
    if day.spent > heading.spend:
        yield f"spent {day.spent} euros of {heading.spend}"
    paid = [each.euros for each in day.expenses if each.category == "Housing"]
    if paid != ([heading.due] if heading.due else []):
        yield f"paid {paid or 'nothing'} for the home, and {heading.due} was due"
    for each in day.expenses:
        if each.category == "Transport" and (each.euros != heading.tram or not takes_tram(person, heading)):
            yield f"took the tram for {each.euros} euros, and it costs {heading.tram}: {person.fare} at most"
        if each.category == "Groceries" and (each.location, heading.weekday) != (person.shop, person.shops):
            yield f"bought groceries at {each.location} on {heading.weekday}: {person.shops}s at {person.shop}"
        if each.category == "Leisure" and not _own(person, heading, each):
            yield f"spent {each.euros} euros at {each.location}, which is no interest of the person"
        if each.category == "Food" and not works_on(person, heading.weekday):
            yield "had lunch at the canteen on a free day"


def _own(person: Person, heading: Heading, expense: Expense) -> bool:
    """Whether an expense is that of an own interest, or of one that a friend asked about."""
    places = [INTERESTS[name] for name in (*person.interests, heading.about or "") if name in INTERESTS]
    return (expense.location, expense.euros) in [(each.place, each.euros) for each in places]


def _deeds(person: Person, day: Day) -> Iterator[str]:
    heading = day.heading
    for each in day.interactions:
        if each.name not in (*person.friends, heading.asked):
            yield f"met {each.name}, who is no friend"
        if each.about.removeprefix(PLAN) not in (*person.interests, heading.about):
            yield f"{each.about} is no interest of the person"
    goes = any(f" to {goal}" in day.text for goal in ("work", "class"))
    if goes != works_on(person, heading.weekday):
        yield f"{'went' if goes else 'did not go'} to work on {heading.weekday}"
    if "I took the tram" in day.text and not takes_tram(person, heading):
        yield f"took the tram at {heading.tram} euros"
    if heading.asked and heading.asked not in day.text:
        yield f"did not answer {heading.asked}"
