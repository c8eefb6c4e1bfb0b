"""Policy: what changes for everybody from a day on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from lilliput.base.config import Config, validate
from lilliput.base.errors import ConfigError, nearest
from lilliput.worlds.population.people import FARES, Person
from lilliput.worlds.population.weeks import TRAM


class Policy(Config):
    """The price of a tram ticket, and changes of the cost of homes (a share) and of incomes (euros a month)."""

    tram: Annotated[int, Field(description="euros of a ticket; 0 is free")] = TRAM
    rent: Annotated[float, Field(ge=-1, le=2, description="change of what rented homes cost: 0.1 is a tenth more")] = (
        0.0
    )
    income: Annotated[int, Field(ge=0, le=10_000, description="euros a month that everybody gets besides")] = 0

    def of(self, person: Person) -> Person:
        """Return a person under the policy."""
        home = round(person.home * (1 + self.rent)) if person.tenure == "rents" else person.home
        return person.model_copy(update={"home": home, "income": person.income + self.income})


def policy_of(changes: Sequence[str]) -> Policy:
    """Return the policy of texts such as tram=0, rent=+10% and income=200. Raises ConfigError."""
    given: dict[str, float] = {}
    for text in changes:
        name, sign, value = text.partition("=")
        if not sign or name not in Policy.model_fields:
            raise ConfigError(
                f"'{text}' is no policy{nearest(name, Policy.model_fields)}", "write tram=0, rent=+10% or income=200"
            )
        if re.fullmatch(r"[+-]?[0-9]+(\.[0-9]+)?%?", value) is None or value.endswith("%") != (name == "rent"):
            raise ConfigError(f"'{value}' is no value of {name}", "write tram=0, rent=+10% or income=200")
        given[name] = float(value.rstrip("%")) / 100 if name == "rent" else float(value)
    found = validate(Policy, given, "the policy")
    if found.tram not in FARES:
        raise ConfigError(
            f"a ticket of {found.tram} euros is in no diary that the model read",
            f"give one of {', '.join(map(str, FARES))}",
        )
    return found
