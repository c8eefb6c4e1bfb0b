"""A day of a diary: a heading that says how things stand, and sentences with tags of expenses and interactions.

Tuesday, rain, 42 euros to spend, tram 3 euros: I took the tram to work. [Expense: 3 euros | Category: Transport |
Location: Tram] I met Tom and we went swimming. [Interaction: Tom | About: swimming] ...
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lilliput.base.errors import DataError
from lilliput.worlds.population.words import CATEGORIES, WEEKDAYS

PLAN = "a plan for "
"""An interaction about a plan asks a friend for the next day."""
FREE = "[^\\[\\]|.:\n]"
"""A character of a sentence or of a tag's field."""
EXPENSE = (
    rf"\[Expense: (?P<euros>[1-9][0-9]{{0,4}}) euros \| Category: (?P<category>{'|'.join(CATEGORIES)}) "
    rf"\| Location: (?P<location>{FREE}{{1,40}})\]"
)
INTERACTION = rf"\[Interaction: (?P<name>[A-Z][a-z]{{1,30}}) \| About: (?P<about>{FREE}{{1,40}})\]"
SENTENCE = rf"[A-Z]{FREE}{{1,120}}\."
MOST_SENTENCES = 8
TEXT = rf"(?: {SENTENCE}(?: (?:{EXPENSE}|{INTERACTION})){{0,2}}){{1,{MOST_SENTENCES}}}"
"""The text of a day after its heading."""
HEADING = (
    rf"(?P<weekday>{'|'.join(WEEKDAYS)}), (?P<weather>sun|rain), (?P<spend>[0-9]{{1,5}}) euros to spend, "
    r"tram (?:free|(?P<tram>[2-9]) euros)(?:, home (?P<due>[0-9]{1,6}) euros due)?"
    r"(?:, (?P<asked>[A-Z][a-z]{1,30}) asked about (?P<about>[a-z ]{1,40}))?:"
)
_TAG = re.compile(f"{EXPENSE}|{INTERACTION}")
_HEADING = re.compile(HEADING)


@dataclass(frozen=True, slots=True)
class Heading:
    """How things stand in the morning. `due` are the euros that the home costs today, `asked` a friend who asked about
    an interest, `about`."""

    weekday: str
    weather: str
    spend: int
    tram: int
    due: int = 0
    asked: str | None = None
    about: str | None = None

    def __str__(self) -> str:
        tram = f"tram {self.tram} euros" if self.tram else "tram free"
        due = f", home {self.due} euros due" if self.due else ""
        asked = f", {self.asked} asked about {self.about}" if self.asked else ""
        return f"{self.weekday}, {self.weather}, {self.spend} euros to spend, {tram}{due}{asked}:"


@dataclass(frozen=True, slots=True)
class Expense:
    """Whole euros that were spent."""

    euros: int
    category: str
    location: str

    def __str__(self) -> str:
        return f"[Expense: {self.euros} euros | Category: {self.category} | Location: {self.location}]"


@dataclass(frozen=True, slots=True)
class Interaction:
    """A meeting with a person, or a plan for one (`about` begins with PLAN)."""

    name: str
    about: str

    def __str__(self) -> str:
        return f"[Interaction: {self.name} | About: {self.about}]"


@dataclass(frozen=True, slots=True)
class Day:
    """A day as it was written."""

    heading: Heading
    text: str
    expenses: tuple[Expense, ...]
    interactions: tuple[Interaction, ...]

    def __str__(self) -> str:
        return f"{self.heading}{self.text}"

    @property
    def spent(self) -> int:
        """Euros of all expenses but that of the home."""
        return sum(each.euros for each in self.expenses if each.category != "Housing")


def day(heading: Heading, text: str) -> Day:
    """Return the day of a heading and the text after it, which begins with a space. Raises DataError for a text that
    is not sentences with tags."""
    if re.fullmatch(TEXT, text) is None:
        raise DataError(f"this is no day of a diary: {text[:80]!r}", "write sentences, each with two tags at most")
    expenses, interactions = list[Expense](), list[Interaction]()
    for found in _TAG.finditer(text):
        if found["euros"]:
            expenses.append(Expense(int(found["euros"]), found["category"], found["location"]))
        else:
            interactions.append(Interaction(found["name"], found["about"]))
    return Day(heading, text, tuple(expenses), tuple(interactions))


def read_day(line: str) -> Day:
    """Return the day of a line of a diary. Raises DataError."""
    found = _HEADING.match(line)
    if found is None:
        raise DataError(
            f"this line has no heading of a day: {line[:80]!r}", "write Monday, sun, 20 euros to spend, tram free:"
        )
    number = {key: int(found[key] or 0) for key in ("spend", "tram", "due")}
    heading = Heading(found["weekday"], found["weather"], asked=found["asked"], about=found["about"], **number)
    return day(heading, line[found.end() :])
