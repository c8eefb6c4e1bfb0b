"""Person: one made-up person of a population, and drawing people from the population's joint distribution."""

from __future__ import annotations

from typing import Annotated, Literal, cast

import numpy as np
from pydantic import Field

from lilliput.base.config import Config
from lilliput.base.seeds import generator
from lilliput.worlds.population.joint import Joint
from lilliput.worlds.population.words import (
    ANY_JOB,
    DEGREE,
    FEMALE,
    INTERESTS,
    JOBS,
    MALE,
    NOT_WORKING,
    SHOPS,
    SURNAMES,
    WEEKDAYS,
)

Weekday = Literal["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
Euros = Annotated[int, Field(ge=0)]
FARES = (0, 2, 3, 4, 5, 6)
"""Euros of the dearest tram ticket that a person buys."""
NEIGHBOURS = 40
"""A friend is found among so many people who live in the same place and have about the same age."""


class Person(Config):
    """A person. Numbers of money are euros a month; `home` is the rent, or the cost of an own home.

    fare         euros that the person pays for a tram ticket at most
    shop, shops  where and on which weekday the person buys groceries
    friends      first names
    """

    name: str
    age: Annotated[int, Field(ge=0, le=120)]
    sex: str
    place: str
    education: str
    sector: str
    job: str | None
    income: Euros
    household: str
    tenure: str
    home: Euros
    interests: tuple[str, ...]
    friends: tuple[str, ...]
    fare: Euros
    shops: Weekday
    shop: str

    @property
    def first_name(self) -> str:
        """The name without the surname."""
        return self.name.split(" ")[0]

    @property
    def works(self) -> bool:
        """Whether the person goes to work or to a school on working days."""
        return self.job is not None or self.sector == "student"


def draw_people(joint: Joint, count: int, seed: int = 0) -> list[Person]:
    """Draw people from a population. A person depends on (seed, number) alone, but for the friends, who are people of
    the same draw: neighbours of about the same age."""
    cumulative = np.cumsum(joint.shares.ravel())
    people = [_person(joint, cumulative, generator(seed, "person", number)) for number in range(count)]
    order = sorted(range(count), key=lambda number: (people[number].place, people[number].age, number))
    for rank, number in enumerate(order):
        near = order[max(0, rank - NEIGHBOURS // 2) : rank + NEIGHBOURS // 2 + 1]
        friends = _friends(
            [people[each].first_name for each in near if each != number], generator(seed, "friends", number)
        )
        people[number] = people[number].model_copy(update={"friends": friends})
    return people


def _person(joint: Joint, cumulative: np.ndarray, rng: np.random.Generator) -> Person:
    """Draw a person without friends."""
    cell = int(np.searchsorted(cumulative, rng.random() * cumulative[-1], side="right"))
    places = np.unravel_index(min(cell, len(cumulative) - 1), joint.shares.shape)
    names = joint.marginals.categories
    drawn = {name: each[place] for (name, each), place in zip(names.items(), places, strict=True)}
    bands = {name: each[int(places[list(names).index(name)])] for name, each in joint.marginals.bands.items()}
    age = int(rng.integers(bands["age"][0], bands["age"][1] + 1))
    income = _rounded(rng.uniform(*bands["income"]), bands["income"])
    first = FEMALE if drawn["sex"] == "female" else MALE if drawn["sex"] == "male" else (*FEMALE, *MALE)
    interests = rng.choice(list(INTERESTS), 3, replace=False).tolist()
    return Person(
        **{**drawn, "age": age, "income": income},
        name=f"{rng.choice(first)} {rng.choice(SURNAMES)}",
        job=_job(drawn["sector"], drawn["education"], rng),
        home=_home(income, drawn["tenure"], rng),
        interests=tuple(interests),
        friends=(),
        fare=int(rng.choice(FARES)),
        shops=cast(Weekday, str(rng.choice(WEEKDAYS))),
        shop=str(rng.choice(SHOPS)),
    )


def _job(sector: str, education: str, rng: np.random.Generator) -> str | None:
    if sector in NOT_WORKING:
        return None
    jobs = JOBS.get(sector, ((ANY_JOB,), (ANY_JOB,)))[DEGREE in education]
    return str(rng.choice(jobs))


def _home(income: int, tenure: str, rng: np.random.Generator) -> int:
    """A third of the income and a little, in tens of euros. An own home costs less."""
    share = rng.uniform(0.25, 0.4) * (0.5 if tenure == "owns" else 1)
    return 10 * round((60 + share * income) / 10)


def _rounded(number: float, band: tuple[int, int]) -> int:
    """In tens of euros, inside the range."""
    return min(max(10 * round(number / 10), band[0]), band[1])


def _friends(names: list[str], rng: np.random.Generator) -> tuple[str, ...]:
    """Three different first names, or as many as there are."""
    return tuple(dict.fromkeys(rng.permutation(names).tolist()))[:3] if names else ()
