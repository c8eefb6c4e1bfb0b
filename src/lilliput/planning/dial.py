"""The dial: `size=5m` or `budget=30m`, and the other numbers of a recipe from it, by the rules of choice.py."""

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
    """Load a recipe as `assembly.recipe.load` does, and set the dial: `size=5m` and `budget=30m` among the overrides
    give every value that follows from them, below the other overrides. The dial measures this machine once. Without
    `name` the run is called 'recipe-5m'. Raises ConfigError."""
    dials, assignments = sort_out(overrides)

    def derive(plain: str, section: DataConfig) -> dict[str, Any]:
        return {**turn(dials, section), "name": _name(plain, dials)}

    return load(source, assignments, changes, data, name, derive if dials else None)


def sort_out(assignments: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    """What is said of the dial, and the other assignments. Raises ConfigError for a dial that is turned twice."""
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
    """The run's name: story-5m, story-in-30m, story-5m-in-30m."""
    size = [dials["size"]] if "size" in dials else []
    return "-".join([recipe, *size, *(["in", dials["budget"]] if "budget" in dials else [])])


def turn(dials: Mapping[str, str], data: DataConfig) -> dict[str, Any]:
    """Values to lay over a recipe that trains on `data`: model, vocabulary, batch, rates and length; and how many
    stories, where all text is the built-in world's. Reads the text to know its length. Raises ConfigError."""
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
