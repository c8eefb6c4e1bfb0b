"""People and days of diaries as examples: texts of people or of their days, and templates of their fields."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from random import Random
from typing import Any, Literal

from lilliput.worlds.extraction.biography_words import given_name, surname
from lilliput.worlds.extraction.making import MAKERS, Example, Maker
from lilliput.worlds.extraction.template import read_template
from lilliput.worlds.population.days import Day
from lilliput.worlds.population.files import diaries_of
from lilliput.worlds.population.joint import Joint, fit_joint
from lilliput.worlds.population.marginals import read_marginals
from lilliput.worlds.population.people import Person, draw_people
from lilliput.worlds.population.telling import tell
from lilliput.worlds.population.weeks import rule_writer
from lilliput.worlds.population.words import CATEGORIES, WEEKDAYS

PRONOUNS = {"female": "she", "male": "he"}
Field = tuple[tuple[str, ...], Any, Callable[[Any], Any]]
OF_PERSON: list[Field] = [
    (("name", "full_name", "person"), "verbatim-string", lambda it: it.name),
    (("age", "years"), "integer", lambda it: it.age),
    (("sex",), ["woman", "man"], lambda it: {"female": "woman", "male": "man"}.get(it.sex)),
    (("place", "town", "lives_in"), "verbatim-string", lambda it: it.place),
    (("education",), "verbatim-string", lambda it: it.education),
    (("sector", "industry"), "verbatim-string", lambda it: it.sector if it.job else None),
    (("job", "profession", "occupation"), "verbatim-string", lambda it: _bare(it.job)),
    (("income", "euros_a_month"), "integer", lambda it: it.income),
    (("tenure", "home"), ["rents", "owns"], lambda it: it.tenure),
    (("rent", "cost_of_home"), "integer", lambda it: it.home),
    (("interests", "hobbies", "likes"), ["verbatim-string"], lambda it: [*it.interests]),
    (("friends",), ["verbatim-string"], lambda it: [*it.friends]),
    (("groceries", "shopping"), {"day": [*WEEKDAYS], "shop": "verbatim-string"}, lambda it: _shopping(it)),
    (("employed", "works"), ["yes", "no"], lambda it: "yes" if it.job else "no"),
    (("phone", "email", "address"), "verbatim-string", lambda it: None),
]
OF_DAYS: list[Field] = [
    (("expenses", "payments"), [{"euros": "integer", "category": [*CATEGORIES], "location": "verbatim-string"}],
     lambda days: [
         {"euros": each.euros, "category": each.category, "location": each.location}
         for day in days for each in day.expenses
     ]),
    (("amounts",), ["integer"], lambda days: [each.euros for day in days for each in day.expenses]),
    (("meetings", "interactions"), [{"name": "verbatim-string", "about": "verbatim-string"}],
     lambda days: [{"name": each.name, "about": each.about} for day in days for each in day.interactions]),
    (("met", "people", "friends"), ["verbatim-string"], lambda days: _names(days)),
    (("weekday", "first_day"), [*WEEKDAYS], lambda days: days[0].heading.weekday),
    (("weather",), ["sun", "rain"], lambda days: days[0].heading.weather),
    (("budget", "euros_to_spend"), "integer", lambda days: days[0].heading.spend),
    (("card_number", "invoice"), "verbatim-string", lambda days: None),
]  # fmt: skip
"""Each field: keys that ask for it, its type, and its value. The last one of each list is in no text."""


@MAKERS.add("persona")
class Personas(Maker):
    """Texts of made-up people (worlds.population), and templates of some of their fields."""

    kind: Literal["persona"] = "persona"

    def example(self, random: Random, held_out: bool) -> Example:
        person = _person(random, held_out)
        return _asked(tell(person), OF_PERSON, person, random, 3, 8)


@MAKERS.add("diary")
class Diaries(Maker):
    """One or two days of a made-up person's diary, and templates of their expenses and meetings."""

    kind: Literal["diary"] = "diary"

    def example(self, random: Random, held_out: bool) -> Example:
        person = _person(random, held_out)
        (diary,) = diaries_of([person], rule_writer, 7, random.getrandbits(31))
        first = random.randrange(6)
        days = diary.days[first : first + random.choice((1, 1, 2))]
        return _asked("\n".join(map(str, days)), OF_DAYS, days, random, 1, 4)


def _asked(text: str, fields: list[Field], of: Any, random: Random, least: int, most: int) -> Example:
    template, values = {}, {}
    for number in sorted(random.sample(range(len(fields)), random.randrange(least, most))):
        keys, kind, value = fields[number]
        key = random.choice(keys)
        template[key], values[key] = kind, value(of)
    return Example(text, read_template(template), values)


def _person(random: Random, held_out: bool) -> Person:
    """Return a person of the made-up town; a held-out one and the friends have names that no other kind trains."""
    person = draw_people(_town(), 4, random.getrandbits(31))[0]
    if not held_out:
        return person
    names = tuple(given_name(random, random.choice(("she", "he")), held_out) for _ in person.friends)
    name = f"{given_name(random, PRONOUNS.get(person.sex, 'she'), held_out)} {surname(random)}"
    return person.model_copy(update={"name": name, "friends": names})


@cache
def _town() -> Joint:
    return fit_joint(read_marginals())


def _bare(job: str | None) -> str | None:
    """Return a job without its article."""
    return None if job is None else job.partition(" ")[2] or job


def _shopping(person: Person) -> dict[str, str]:
    return {"day": person.shops, "shop": person.shop}


def _names(days: tuple[Day, ...]) -> list[str]:
    return list(dict.fromkeys(each.name for day in days for each in day.interactions))
