"""train_population: a model of people and their days, from tables to a run."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lilliput.assembly.recipe import load
from lilliput.assembly.training import train
from lilliput.base.console import print_line
from lilliput.base.errors import ConfigError
from lilliput.base.files import read_json, sha256, write_json, write_text
from lilliput.base.seeds import generator
from lilliput.generation.run import Run
from lilliput.runs.finding import RUNS
from lilliput.runs.names import RECIPE
from lilliput.worlds.population.by_model import TABLES
from lilliput.worlds.population.days import Heading
from lilliput.worlds.population.joint import fit_joint
from lilliput.worlds.population.marginals import TOWN, read_marginals
from lilliput.worlds.population.people import FARES, Person, draw_people
from lilliput.worlds.population.rules import by_rule
from lilliput.worlds.population.telling import tell
from lilliput.worlds.population.weeks import MONTH, after_bills
from lilliput.worlds.population.words import FEMALE, INTERESTS, MALE, WEEKDAYS

PEOPLE, DAYS = 12_000, 4
"""People whose days by rule are learned, and days of each."""
DUE, ASKED = 0.15, 0.2
"""How often the home is due, and a friend has asked: more often than in a life, because the model has to learn it."""
TEXTS, DRAWN = "days.jsonl", "drawn.json"


def train_population(
    overrides: Sequence[str] = (),
    *,
    tables: str | Path | None = None,
    people: int = PEOPLE,
    name: str = "people",
    seed: int = 0,
    runs: str | Path | None = None,
    notify: Callable[[str], None] = print_line,
    live: bool = True,
) -> Run:
    """Train a model of people drawn from a folder of aggregate tables (those of a made-up town where None) and of their
    days by rule, into runs/<name>, by the recipe `people` and overrides. The same call again resumes a run that was
    interrupted. Raises LilliputError."""
    source = Path(tables or TOWN)
    for line in read_marginals(source).differences():
        notify(f"the tables differ: {line}")
    folder = Path(runs or RUNS) / name
    texts = folder / TABLES / TEXTS
    asked = {
        "people": people,
        "seed": seed,
        "tables": {each.name: sha256(each) for each in sorted(source.glob("*.csv"))},
    }
    if (folder / TABLES / DRAWN).is_file():  # written last, so that an interrupted beginning is done again
        if read_json(folder / TABLES / DRAWN) != asked:
            raise ConfigError(f"{folder} is of other people", "give another --name, or delete the folder")
    elif (folder / RECIPE).is_file():
        raise ConfigError(f"{folder} is a run of something else", "give another --name")
    else:
        _begin(texts, source, asked)
    files = [{"kind": "jsonl", "paths": [str(texts)]}]
    recipe = load("people", [f"data.sources={json.dumps(files)}", f"name={name}", *overrides])
    return train(recipe, runs=runs or RUNS, notify=notify, live=live)


def _begin(texts: Path, source: Path, asked: Mapping[str, Any]) -> None:
    """Keep the tables of a run, and write the texts that its model learns."""
    texts.parent.mkdir(parents=True, exist_ok=True)
    for path in sorted(source.glob("*.csv")):
        shutil.copyfile(path, texts.parent / path.name)
    people = draw_people(fit_joint(read_marginals(source)), asked["people"], asked["seed"])
    rows = (json.dumps({"text": text}) + "\n" for text in training_texts(people, asked["seed"]))
    write_text(texts, "".join(rows))
    write_json(texts.parent / DRAWN, asked)


def training_texts(people: Sequence[Person], seed: int) -> Iterator[str]:
    """Yield a text for each person: the person's own words, and lines of days under headings of all kinds. The lines
    follow from the person and their heading alone."""
    for number, person in enumerate(people):
        rng = generator(seed, "headings", number)
        lines = [
            by_rule(person, any_heading(person, rng), generator(seed, "days", number, each)) for each in range(DAYS)
        ]
        yield "".join(f"{line}\n" for line in (tell(person), *lines))


def any_heading(person: Person, rng: np.random.Generator) -> Heading:
    """Return a heading of any day: a day of the week, the weather, as much to spend as there may be, any fare."""
    usual = max(0, after_bills(person) - person.home) / MONTH
    spend = int(usual * rng.uniform(0, 2))
    asked = about = None
    if rng.random() < ASKED:
        strangers = [str(rng.choice((*FEMALE, *MALE)))]
        asked = str(rng.choice([*person.friends, *strangers]))
        about = str(rng.choice([name for name, each in INTERESTS.items() if each.together]))
    due = person.home if rng.random() < DUE else 0
    weather = "rain" if rng.random() < 0.4 else "sun"
    return Heading(str(rng.choice(WEEKDAYS)), weather, spend, int(rng.choice(FARES)), due, asked, about)
