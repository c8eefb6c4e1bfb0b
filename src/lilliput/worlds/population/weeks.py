"""Days that follow each other: what is left in the account, when the home is paid, the weather; diaries of a week."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from lilliput.base.seeds import generator
from lilliput.worlds.population.days import Day, Heading
from lilliput.worlds.population.people import Person
from lilliput.worlds.population.rules import by_rule
from lilliput.worlds.population.words import WEEKDAYS

MONTH = 30
"""Days of every month. Income comes on its first day, and the home is paid then."""
BILLS = 0.25
"""The share of an income that bills take at once."""
RAIN = 0.35
TRAM = 3
"""Euros of a ticket where nothing else is given."""

Writer = Callable[[Sequence[Person], Sequence[Heading], Sequence[int]], list[Day]]
"""Writes the days of people under headings. The last argument is a seed for each."""


@dataclass(frozen=True, slots=True)
class Account:
    """A person's money: `euros` in the account, on day number `day` (from 0, a Monday and the first of a month)."""

    euros: int
    day: int

    @property
    def of_month(self) -> int:
        """The day of the month, from 0."""
        return self.day % MONTH


def opened(person: Person, seed: int) -> Account:
    """Return the account of a person on a Monday of any month, with about as much left as the days of the month."""
    rng = generator(seed, "account")
    day = 7 * int(rng.integers(0, MONTH))
    of_month = day % MONTH
    left = max(0, after_bills(person) - person.home) * (MONTH - of_month) / MONTH
    return Account(round(left * rng.uniform(0.5, 1.2)) if of_month else 0, day)


def after_bills(person: Person) -> int:
    """Euros of a month's income that bills leave."""
    return round((1 - BILLS) * person.income)


def morning(person: Person, account: Account) -> Account:
    """Return the account with the month's income in it, on the first of a month."""
    return account if account.of_month else replace(account, euros=account.euros + after_bills(person))


def heading(
    person: Person, account: Account, weather: str, tram: int = TRAM, asked: tuple[str, str] | None = None
) -> Heading:
    """Return how things stand in the morning (after `morning`). What can be spent is the account, less the cost of the
    home, in equal parts for the days that are left of the month."""
    due = person.home if account.of_month == 0 else 0
    spend = max(0, account.euros - due) // (MONTH - account.of_month)
    name, about = asked or (None, None)
    return Heading(WEEKDAYS[account.day % 7], weather, spend, tram, due, name, about)


def evening(account: Account, day: Day) -> Account:
    """Return the account after a day. It never holds less than 0: the home's cost is owed where there is too little."""
    return Account(max(0, account.euros - sum(each.euros for each in day.expenses)), account.day + 1)


def weather(seed: int, day: int) -> str:
    """The weather of a day, which is the same for all people."""
    return "rain" if generator(seed, "weather", day).random() < RAIN else "sun"


def rule_writer(people: Sequence[Person], headings: Sequence[Heading], seeds: Sequence[int]) -> list[Day]:
    """Write days by rule."""
    asked = zip(people, headings, seeds, strict=True)
    return [by_rule(person, head, generator(seed, "day")) for person, head, seed in asked]
