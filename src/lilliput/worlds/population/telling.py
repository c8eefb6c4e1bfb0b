"""A person's own words: a first-person text of a person, and the person read back from such a text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from lilliput.worlds.population.marginals import Marginals
from lilliput.worlds.population.people import FARES, Person
from lilliput.worlds.population.words import HOUSEHOLDS, NOT_WORKING, SEXES, TENURES, WEEKDAYS

NAME = "[A-Z][a-z]{1,15}"
FORM = (
    r"My name is (?P<name>{NAME} {NAME}). "
    r"I am (?P<age>[1-9][0-9]?|1[01][0-9]) years old, a (?P<sex>{sexes}), and live in (?P<place>{places}). "
    r"My education is (?P<education>{educations}). "
    r"(?:I work in (?P<sector>{sectors}) as (?P<job>[a-z ]{{2,40}}) and earn|I am (?P<free>{frees}) and have) "
    r"(?P<income>0|[1-9][0-9]{{0,5}}) euros a month. "
    r"I live (?P<household>{households}) in a home that I (?P<tenure>{tenures}) "
    r"for (?P<home>0|[1-9][0-9]{{0,5}}) euros a month. "
    r"I like (?P<like>[a-z ]{{2,20}}), (?P<also>[a-z ]{{2,20}}) and (?P<too>[a-z ]{{2,20}}). "
    r"(?:My friends are (?P<friends>{NAME}(?:, {NAME}){{0,2}}(?: and {NAME})?)|I have no friends here). "
    r"I take the tram (?:only when it is free|when it costs (?P<fare>[2-{fare}]) euros or less). "
    r"On (?P<shops>{weekdays})s I buy groceries at (?P<shop>[A-Z][A-Za-z' ]{{2,30}})."
)
"""The sentences of a person as a regular expression with a group for each field."""


def tell(person: Person) -> str:
    """Return a person's text, of about 95 words."""
    p = person
    free = NOT_WORKING.get(p.sector, p.sector)
    work = f"I work in {p.sector} as {p.job} and earn" if p.job else f"I am {free} and have"
    friends = f"My friends are {_joined(p.friends)}" if p.friends else "I have no friends here"
    fare = f"when it costs {p.fare} euros or less" if p.fare else "only when it is free"
    return (
        f"My name is {p.name}. I am {p.age} years old, a {SEXES.get(p.sex, p.sex)}, and live in {p.place}. "
        f"My education is {p.education}. {work} {p.income} euros a month. "
        f"I live {HOUSEHOLDS.get(p.household, p.household)} in a home that I {TENURES.get(p.tenure, p.tenure)} "
        f"for {p.home} euros a month. I like {_joined(p.interests)}. {friends}. "
        f"I take the tram {fare}. On {p.shops}s I buy groceries at {p.shop}."
    )


def pattern(marginals: Marginals) -> str:
    """Return the regular expression of a person's text, with the categories of the tables; a model under it generates
    people that can be read and counted."""
    names = marginals.categories
    working = [each for each in names["sector"] if each not in NOT_WORKING]
    resting = [NOT_WORKING[each] for each in names["sector"] if each in NOT_WORKING]
    text = FORM.format(
        NAME=NAME,
        sexes=_any(SEXES.get(each, each) for each in names["sex"]),
        places=_any(names["place"]),
        educations=_any(names["education"]),
        sectors=_any(working),
        frees=_any(resting or ["at home"]),
        households=_any(HOUSEHOLDS.get(each, each) for each in names["household"]),
        tenures=_any(TENURES.get(each, each) for each in names["tenure"]),
        weekdays=_any(WEEKDAYS),
        fare=FARES[-1],
    )
    return text.replace(". ", r"\. ").removesuffix(".") + r"\."


def read(text: str, form: re.Pattern[str]) -> Person | None:
    """Return the person of a text, or None where the text has not the form (a compiled `pattern`)."""
    found = form.fullmatch(text.strip())
    if found is None:
        return None
    given: Mapping[str, str] = {key: value for key, value in found.groupdict().items() if value is not None}
    back = {words: name for names in (SEXES, HOUSEHOLDS, TENURES, NOT_WORKING) for name, words in names.items()}
    sector = given.get("sector") or back.get(given["free"], given["free"])
    friends = re.split(", | and ", given["friends"]) if "friends" in given else []
    return Person.model_validate(
        {
            **{key: back.get(given[key], given[key]) for key in ("sex", "household", "tenure")},
            **{key: given[key] for key in ("name", "place", "education", "shops", "shop")},
            **{key: int(given.get(key, 0)) for key in ("age", "income", "home", "fare")},
            "sector": sector,
            "job": given.get("job"),
            "interests": (given["like"], given["also"], given["too"]),
            "friends": tuple(friends),
        }
    )


def _joined(names: Iterable[str]) -> str:
    names = list(names)
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _any(texts: Iterable[str]) -> str:
    return "|".join(map(re.escape, sorted(texts, key=len, reverse=True)))
