"""A town of agents on Mesa: everybody has a day at a time, written by rule or by a model, with money and friends."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lilliput.base.errors import DataError, MissingExtra
from lilliput.base.seeds import derive
from lilliput.worlds.agents.policy import Policy
from lilliput.worlds.population.days import PLAN, Day, Heading
from lilliput.worlds.population.people import Person
from lilliput.worlds.population.weeks import Account, Writer, heading, morning, weather
from lilliput.worlds.population.words import INTERESTS

try:
    import mesa
except ImportError:
    raise MissingExtra("mesa", "agents", "simulating a town") from None

if TYPE_CHECKING:
    from mesa.agent import AgentSet


@dataclass(frozen=True, slots=True)
class State:
    """Everything of a resident that changes: euros in the account, rent that is owed, and who asked about what."""

    euros: int
    owed: int = 0
    asked: tuple[str, str] | None = None


class Resident(mesa.Agent):
    """A person of the town. `number` is the place in the list of people; `declined` are the euros of today's expenses
    that the account could not pay."""

    model: Town  # pyright: ignore[reportIncompatibleVariableOverride]

    def __init__(self, model: Town, number: int, person: Person, state: State):
        super().__init__(model)
        self.number, self.person, self.state = number, person, state
        self.heading: Heading | None = None
        self.day: Day | None = None
        self.declined = 0

    def wake(self) -> None:
        """Get up: the month's income comes, and the heading of the day is set."""
        town = self.model
        person = town.policy.of(self.person)
        account = morning(person, Account(self.state.euros, town.day))
        self.state = State(account.euros, self.state.owed, self.state.asked)
        self.heading = heading(person, account, town.weather, town.policy.tram, self.state.asked)

    def live(self, day: Day) -> None:
        """Take a day that was written: expenses are paid in their order as long as the account lasts."""
        left, declined, owed = self.state.euros, 0, self.state.owed
        for each in day.expenses:
            if each.euros <= left:
                left -= each.euros
            elif each.category == "Housing":
                owed, left = owed + each.euros - left, 0
            else:
                declined += each.euros
        self.day, self.declined = day, declined
        self.state = State(left, owed)

    def asked_by(self, name: str, about: str) -> None:
        """Hear about a plan for tomorrow. The first who asks is answered."""
        if self.state.asked is None:
            self.state = State(self.state.euros, self.state.owed, (name, about))


class Town(mesa.Model):
    """People, the weather and a policy. `day` counts from 0, a Monday and the first of a month."""

    def __init__(self, people: Sequence[Person], writer: Writer, seed: int, day: int = 0, states: Sequence[State] = ()):
        super().__init__(rng=seed)
        self.writer, self.seed_, self.day, self.policy = writer, seed, day, Policy()
        if states and len(states) != len(people):
            raise DataError(f"there are {len(people):,} people and the states of {len(states):,}")
        begin = states or [State(0) for _ in people]
        self.residents = [Resident(self, *each) for each in zip(range(len(people)), people, begin, strict=True)]
        self._named = defaultdict[str, list[Resident]](list)
        for resident in self.residents:
            self._named[resident.person.first_name].append(resident)

    @property
    def weather(self) -> str:
        """Today's weather."""
        return weather(self.seed_, self.day)

    def step(self) -> None:
        """Let everybody have one day."""
        town: AgentSet = self.agents
        town.do("wake")
        people = [self.policy.of(each.person) for each in self.residents]
        headings = [each.heading for each in self.residents if each.heading is not None]
        seeds = [derive(self.seed_, "day", self.day, each.number) for each in self.residents]
        for resident, day in zip(self.residents, self.writer(people, headings, seeds), strict=True):
            resident.live(day)
        for resident in self.residents:
            self._ask_around(resident)
        self.day += 1

    def friend(self, resident: Resident, name: str) -> Resident | None:
        """Return the resident whom a person calls by a first name: of the same place and the nearest age, if there is
        anyone. A stranger has no part in the town."""
        near = [
            each
            for each in self._named.get(name, ())
            if each is not resident and each.person.place == resident.person.place
        ]
        age = resident.person.age
        return min(near, key=lambda each: (abs(each.person.age - age), each.number), default=None)

    def _ask_around(self, resident: Resident) -> None:
        assert resident.day is not None
        for each in resident.day.interactions:
            about = each.about.removeprefix(PLAN)
            if each.about.startswith(PLAN) and about in INTERESTS and (friend := self.friend(resident, each.name)):
                friend.asked_by(resident.person.first_name, about)
