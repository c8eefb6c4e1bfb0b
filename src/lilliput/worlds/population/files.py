"""Files of people and of diaries: JSON lines, which training reads as texts."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from lilliput.base.config import validate
from lilliput.base.errors import ConfigError, DataError
from lilliput.base.files import write_text
from lilliput.base.reading import from_json
from lilliput.base.seeds import derive
from lilliput.worlds.population.days import Day, read_day
from lilliput.worlds.population.people import Person
from lilliput.worlds.population.telling import tell
from lilliput.worlds.population.weeks import Writer, evening, heading, morning, opened, weather

WEEK = 7
FIRST_DAY = date(2026, 1, 5)
"""The Monday of the first day of a table of payments."""
AT_ONCE = 1024
"""People whose days are written side by side."""


@dataclass(frozen=True, slots=True)
class Diary:
    """A person and days that follow each other."""

    person: Person
    days: tuple[Day, ...]

    def __str__(self) -> str:
        return "\n".join([tell(self.person), *map(str, self.days)])


def write_people(path: str | Path, people: Iterable[Person]) -> None:
    """Write people, each with the person's text. Raises ConfigError for a file that is there."""
    _write(path, _lines({**person.model_dump(mode="json"), "text": tell(person)} for person in people))


def read_people(path: str | Path) -> list[Person]:
    """Return the people of a file of `write_people`. Raises DataError that names the line."""
    found = list[Person]()
    for number, row in _rows(path):
        row.pop("text", None)
        found.append(validate(Person, row, f"line {number} of {path}"))
    return found


def write_diaries(path: str | Path, diaries: Iterable[Diary]) -> None:
    """Write diaries, each with its text. Raises ConfigError for a file that is there."""
    rows = ({"person": each.person.model_dump(mode="json"), "text": str(each)} for each in diaries)
    _write(path, _lines(rows))


def read_diaries(path: str | Path) -> list[Diary]:
    """Return the diaries of a file of `write_diaries`. Raises DataError that names the line."""
    found = list[Diary]()
    for number, row in _rows(path):
        place = f"line {number} of {path}"
        if not isinstance(row.get("text"), str) or not isinstance(row.get("person"), dict):
            raise DataError(f"{place} is no diary", "make one: lilliput diaries make PEOPLE --out FILE")
        _, *lines = row["text"].split("\n")
        try:
            days = tuple(map(read_day, lines))
        except DataError as error:
            raise DataError(f"{place}: {error.message}", error.hint) from None
        found.append(Diary(validate(Person, row["person"], place), days))
    return found


def write_payments(path: str | Path, diaries: Iterable[Diary]) -> int:
    """Write the expenses of diaries as a CSV table of payments, from FIRST_DAY on, for `lilliput tables`. Returns the
    number of rows. Raises ConfigError for a file that is there."""
    rows = [
        (number, FIRST_DAY + timedelta(days=after), each.euros, each.category, each.location)
        for number, diary in enumerate(diaries, start=1)
        for after, day in enumerate(diary.days)
        for each in day.expenses
    ]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("user_id", "time", "amount", "category", "location"))
    writer.writerows(rows)
    _write(path, text.getvalue())
    return len(rows)


def diaries_of(
    people: Sequence[Person],
    writer: Writer,
    days: int = WEEK,
    seed: int = 0,
    done: Callable[[int], None] = lambda count: None,
) -> Iterator[Diary]:
    """Yield the diary of each person, from a Monday of any month. A person's diary depends on (seed, number) and the
    writer. `done` is called with the number of days that were written."""
    for start in range(0, len(people), AT_ONCE):
        some = people[start : start + AT_ONCE]
        seeds = [derive(seed, "diary", start + place) for place in range(len(some))]
        accounts = [opened(*each) for each in zip(some, seeds, strict=True)]
        kept: list[list[Day]] = [[] for _ in some]
        for number in range(days):
            accounts = [morning(*each) for each in zip(some, accounts, strict=True)]
            headings = [heading(*each, weather(seed, each[1].day)) for each in zip(some, accounts, strict=True)]
            written = writer(some, headings, [derive(each, number) for each in seeds])
            accounts = [evening(*each) for each in zip(accounts, written, strict=True)]
            for diary, day in zip(kept, written, strict=True):
                diary.append(day)
            done(len(some))
        yield from (Diary(person, tuple(each)) for person, each in zip(some, kept, strict=True))


def _write(path: str | Path, text: str) -> None:
    path = Path(path)
    if path.exists():
        raise ConfigError(f"{path} is there already", "give another --out, or delete it")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, text)


def _lines(rows: Iterable[dict]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _rows(path: str | Path) -> Iterator[tuple[int, dict]]:
    try:
        lines = Path(path).read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}") from None
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                row = from_json(line)
            except ValueError as error:
                raise DataError(f"line {number} of {path} is no JSON: {error}") from None
            if not isinstance(row, dict):
                raise DataError(f"line {number} of {path} is no object")
            yield number, row
