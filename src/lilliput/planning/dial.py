"""The dial: `size=5m` or `budget=30m` sets the other numbers of a recipe, by the rules of choice.py."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lilliput.assembly.recipe import Recipe, load
from lilliput.base import units
from lilliput.base.errors import ConfigError
from lilliput.data.config import DataConfig
from lilliput.data.infer import text_bytes
from lilliput.data.story import Stories
from lilliput.planning.choice import Needs, choose
from lilliput.planning.speed import training_speed

DIALS = ("size", "budget")


def load_recipe(
    source: str | Path | Recipe,
    overrides: Iterable[str] = (),
    changes: Mapping[str, Any] | None = None,
    data: Sequence[str] = (),
    name: str | None = None,
) -> Recipe:
    """Load a recipe as `assembly.recipe.load` does, with `size=5m` and `budget=30m` among the overrides.

    These two set every value that depends on them; the other overrides win over these values. The speed of this machine
    is measured once. Without `name` the run is called 'recipe-5m'. Raises ConfigError."""
    dials, assignments = sort_out(overrides)

    def derive(plain: str, section: DataConfig) -> dict[str, Any]:
        return {**turn(dials, section), "name": _name(plain, dials)}

    return load(source, assignments, changes, data, name, derive if dials else None)


def sort_out(assignments: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    """Separate the dial's values from the other assignments: ["size=5m", "seed=2"] gives ({"size": "5m"}, ["seed=2"]).
    Raises ConfigError for a dial that is given twice."""
    dials: dict[str, str] = {}
    rest = []
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not equals or key not in DIALS:
            rest.append(assignment)
        elif key in dials:
            raise ConfigError(f"{key} is given twice: {dials[key]} and {value}")
        else:
            dials[key] = value
    return dials, rest


def _name(recipe: str, dials: Mapping[str, str]) -> str:
    """Return the run's name, such as story-5m, story-in-30m or story-5m-in-30m."""
    size = [dials["size"]] if "size" in dials else []
    return "-".join([recipe, *size, *(["in", dials["budget"]] if "budget" in dials else [])])


def turn(dials: Mapping[str, str], data: DataConfig) -> dict[str, Any]:
    """Return the values that the dial sets in a recipe that trains on `data`: model, vocabulary, batch, learning rates
    and length. Where all text comes from the built-in world, the number of stories is set too. Reads the text to know
    its length. Raises ConfigError."""
    built_in = all(isinstance(source, Stories) for source in data.sources)
    seconds = units.seconds(dials["budget"]) if "budget" in dials else None
    parameters = units.count(dials["size"]) if "size" in dials else None
    speed, machine = training_speed()
    length = None if built_in else text_bytes(data.sources, errors=data.errors)
    chosen = choose(Needs("stories", (), length, speed, machine, seconds, parameters)).values
    train = {**({} if seconds is None else {"steps": None}), **chosen["train"]}
    values = {"tokenizer": chosen["tokenizer"], "model": chosen["model"], "train": train}
    if built_in:
        stories = chosen["data"]["sources"][0]["stories"]
        source = data.sources[0].model_dump(mode="json")
        values["data"] = {
            "packing": chosen["data"]["packing"],
            "sources": [{**source, "stories": stories}],
        }
    return values
