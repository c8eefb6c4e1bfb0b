"""begin: write a recipe for a purpose, a text, a machine and a time, with a comment that explains each value."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml

from lilliput.assembly.recipe import Recipe
from lilliput.base.config import validate
from lilliput.base.errors import ConfigError, nearest
from lilliput.base.files import write_text
from lilliput.data.infer import data_config, text_bytes
from lilliput.data.story import Stories
from lilliput.data.token_files import TokenFiles
from lilliput.planning.choice import MACHINES, PURPOSES, Choice, Needs, choose
from lilliput.planning.speed import UTILISATION, training_speed


def begin(
    path: str | Path,
    *,
    purpose: str = "stories",
    data: Sequence[str] = (),
    fit: Sequence[str] = (),
    machine: str = "this",
    seconds: float = 180.0,
    force: bool = False,
    notify: Callable[[str], None] = print,
) -> Choice:
    """Write the recipe to `path` (YAML). `fit` holds overrides of the data section, such as
    `data.sources.0.column=body`. `machine` is 'this' (measured), one of MACHINES, or FLOP/s as a number.
    Raises ConfigError where the file exists (unless `force`), the text cannot be trained on, or the time is too
    short."""
    target = Path(path)
    if target.suffix not in (".yaml", ".yml"):
        raise ConfigError(f"a recipe is a YAML file, and '{path}' is not one", f"give {target.stem or 'own'}.yaml")
    if target.exists() and not force:
        raise ConfigError(f"{target} exists already", "name another file, or give --force to overwrite it")
    if purpose == "text" and not data:
        raise ConfigError("the purpose 'text' needs a text", "name it: --data FILES")
    sources, count, options = _text(data, fit, notify)
    speed, called = _speed(machine)
    chosen = choose(Needs(purpose, sources, count, speed, called, seconds))
    chosen.values["data"].update(options)
    validate(Recipe, {"name": "check", **chosen.values}, "the chosen recipe")
    target.parent.mkdir(parents=True, exist_ok=True)
    write_text(target, commented(chosen, purpose, target))
    return chosen


def _text(
    data: Sequence[str], fit: Sequence[str], notify: Callable[[str], None]
) -> tuple[tuple[dict[str, Any], ...], int | None, dict[str, Any]]:
    """Return the sources as a recipe holds them, the bytes of their text (None for the built-in world), and the further
    values that the overrides in `fit` set in the data section."""
    if not data:
        return (), None, {}
    section = data_config(data, fit)
    sources, options = section.sources, section.differences()
    options.pop("sources", None)
    if any(isinstance(source, TokenFiles) for source in sources):
        raise ConfigError(
            "a recipe is chosen with a new vocabulary for its text, and token files have a vocabulary already",
            "train on them by a shipped recipe: lilliput train story --data FILES tokenizer.path=FOLDER",
        )
    if all(isinstance(source, Stories) for source in sources):
        return (), None, options
    total = text_bytes(sources, notify, section.errors)
    dumped = tuple({"kind": source.kind, **source.differences()} for source in sources)
    return dumped, total, options


def _speed(machine: str) -> tuple[float, str]:
    """Return the FLOP/s that training reaches on `machine`, and a phrase that names the machine."""
    if machine == "this":
        return training_speed()
    share = f"{UTILISATION:.0%} of the matmul peak of"
    if machine in MACHINES:
        return MACHINES[machine] * UTILISATION, f"{share} {machine}"
    try:
        return float(machine) * UTILISATION, f"{share} the machine"
    except ValueError:
        raise ConfigError(
            f"unknown machine '{machine}'{nearest(machine, MACHINES)}",
            f"known: this, {', '.join(MACHINES)}; or its matmul speed in FLOP/s, such as 2e11",
        ) from None


def commented(chosen: Choice, purpose: str, path: Path) -> str:
    """Return the recipe as YAML, with the reason for each value as a comment above the value."""
    lines = [f"# {PURPOSES[purpose]}", f"# lilliput plan {path} forecasts it, lilliput train {path} trains it"]
    for line, key in _keyed(yaml.safe_dump(chosen.values, sort_keys=False, allow_unicode=True)):
        indent = " " * (len(line) - len(line.lstrip()))
        if key in chosen.reasons:
            lines += [f"{indent}# {part}" for part in _wrapped(chosen.reasons[key], 112 - len(indent))]
        lines.append(line)
    return "\n".join(lines) + "\n"


def _keyed(text: str) -> list[tuple[str, str | None]]:
    """Pair each line of YAML in block style with the dotted key that begins there; None inside lists.

    Example: the lines `train:` and `  steps: 5` have the keys `train` and `train.steps`."""
    path: list[str] = []
    found: list[tuple[str, str | None]] = []
    for line in text.splitlines():
        bare = line.lstrip()
        depth = (len(line) - len(bare)) // 2
        if bare.startswith("- ") or depth > len(path):
            found.append((line, None))
            continue
        path = [*path[:depth], bare.partition(":")[0]]
        found.append((line, ".".join(path)))
    return found


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_on_hyphens=False)
