"""simulate_town: people who live day by day, with and without a policy, kept on disk after every day."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lilliput.base.console import print_line, progress
from lilliput.base.errors import ConfigError
from lilliput.base.files import read_json, sync, write_json, write_text
from lilliput.worlds.agents.outcomes import day_file, read_day_file, results_of
from lilliput.worlds.agents.page import page
from lilliput.worlds.agents.policy import Policy, policy_of
from lilliput.worlds.agents.town import State, Town
from lilliput.worlds.agents.writers import writer_for
from lilliput.worlds.population.files import read_people, write_people
from lilliput.worlds.population.people import Person
from lilliput.worlds.population.running import people_of
from lilliput.worlds.population.weeks import Writer

ARMS = ("control", "policy")
SETTINGS, PEOPLE, RESULTS, PAGE = "simulation.json", "people.jsonl", "results.json", "simulation.html"


@dataclass(frozen=True, slots=True)
class Simulation:
    """What is simulated. `run` is a run of `lilliput personas train`, or None for days by rule. The policy holds from
    day `from_day`, counted from 1; without changes there is only the control."""

    run: str | None
    people: int = 200
    days: int = 14
    seed: int = 0
    policy: tuple[str, ...] = ()
    from_day: int = 1
    tables: str | None = None

    @property
    def arms(self) -> tuple[str, ...]:
        """The arms of the experiment."""
        return ARMS if self.policy else ARMS[:1]

    def check(self) -> None:
        """Raise ConfigError for an unknown policy, and for a first day without a policy or outside of the days."""
        policy_of(self.policy)
        if self.from_day > 1 and not self.policy:
            raise ConfigError(f"nothing begins on day {self.from_day}", "give a policy too: --policy tram=0")
        if not 1 <= self.from_day <= self.days:
            raise ConfigError(
                f"the policy begins on day {self.from_day} of {self.days}", f"give a --from-day from 1 to {self.days}"
            )


def simulate_town(
    run: str | Path | None = None,
    out: str | Path = "town",
    *,
    people: int = 200,
    days: int = 14,
    policy: Sequence[str] = (),
    from_day: int = 1,
    tables: str | Path | None = None,
    seed: int = 0,
    workers: int = 1,
    notify: Callable[[str], None] = print_line,
) -> tuple[dict[str, Any], Path]:
    """Simulate a town into the folder `out`, and compare its days with and without a policy (outcomes.py). Each day is
    kept in a file, so that the same call goes on after an interruption. Both arms have the same people and draws; the
    policy's arm begins with the control's days before `from_day`. `tables` is the folder of aggregate tables of people
    by rule (a run has its own). Returns the results and the page. Raises LilliputError, and ConfigError for a folder of
    another simulation."""
    asked = Simulation(
        None if run is None else str(run), people, days, seed, tuple(policy), from_day, tables and str(tables)
    )
    asked.check()
    folder = Path(out)
    _claim(folder, asked)
    file = folder / PEOPLE
    if not file.is_file():
        write_people(file, people_of(people, run=None, tables=tables, seed=seed, trained=run))
    residents = read_people(file)
    with writer_for(run, workers) as writer, progress("days of people", len(asked.arms) * days * people) as bar:
        found = live(folder, asked, residents, writer, bar.advance)
    write_json(folder / RESULTS, found)
    write_text(folder / PAGE, page(found))
    notify(f"{folder / PAGE}: {people:,} people, {days} days, {len(asked.arms)} arms")
    return found, folder / PAGE


def live(
    folder: Path,
    asked: Simulation,
    people: Sequence[Person],
    writer: Writer,
    advance: Callable[[float], None] = lambda days: None,
) -> dict[str, Any]:
    """Simulate the days that the folder does not hold yet, and return the results of all days (results_of) with the
    settings. `advance` is told the days of people that are done. Raises LilliputError."""
    policy = policy_of(asked.policy)
    for arm in asked.arms:
        _live(folder, arm, asked, policy, people, writer, advance)
    return {"settings": asdict(asked), **results_of(folder, asked.arms, asked.days, asked.from_day)}


def _claim(folder: Path, asked: Simulation) -> None:
    settings = json.loads(json.dumps(asdict(asked)))
    file = folder / SETTINGS
    if file.is_file():
        if read_json(file) != settings:
            raise ConfigError(f"{folder} holds another simulation", "give another --out, or delete it")
    elif folder.exists() and any(folder.iterdir()):
        raise ConfigError(f"{folder} is not empty, and holds no simulation", "give another --out")
    else:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(file, settings)


def _live(
    folder: Path,
    arm: str,
    asked: Simulation,
    policy: Policy,
    people: Sequence[Person],
    writer: Writer,
    advance: Callable[[float], None],
) -> None:
    """Simulate the days of an arm that are not there yet."""
    first = 1 if arm == ARMS[0] else asked.from_day
    done = first - 1
    while done < asked.days and day_file(folder, arm, done + 1).is_file():
        done += 1
    before = day_file(folder, arm if done >= first else ARMS[0], done)
    town = Town(people, writer, asked.seed, done, _states(before) if done else ())
    if arm != ARMS[0]:
        town.policy = policy
    advance(done * len(people))
    for day in range(done + 1, asked.days + 1):
        town.step()
        _write_day(day_file(folder, arm, day), town)
        advance(len(people))


def _states(file: Path) -> list[State]:
    """The states of all residents after a day."""
    rows = read_day_file(file)
    return [State(row["euros"], row["owed"], tuple(row["asked"]) if row["asked"] else None) for row in rows]


def _write_day(file: Path, town: Town) -> None:
    """Write a day whole, or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    with gzip.open(part, "wt", encoding="utf-8", compresslevel=4) as lines:
        for each in town.residents:
            row = {**asdict(each.state), "declined": each.declined, "day": str(each.day)}
            lines.write(json.dumps(row, ensure_ascii=False) + "\n")
    sync(part)
    os.replace(part, file)
