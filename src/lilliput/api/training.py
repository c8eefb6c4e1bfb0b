"""train: the rooms put together for one run, from recipe to summary and report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lilliput import recipe as recipes
from lilliput.api.assembly import Assembly
from lilliput.api.ending import conclude
from lilliput.api.kept_recipe import kept_recipe
from lilliput.api.run import RUNS, Run
from lilliput.base.console import command
from lilliput.base.console import say as print_line
from lilliput.base.damage import set_aside, write_sealed
from lilliput.base.errors import CheckpointError
from lilliput.recipe import Recipe
from lilliput.train import checkpoint
from lilliput.train.callbacks import Callback
from lilliput.train.run_folder import RunFolder


def train(
    recipe: str | Path | Recipe = "story",
    overrides: Sequence[str] = (),
    *,
    data: str | Sequence[str] = (),
    name: str | None = None,
    steps: int | None = None,
    tokens: int | None = None,
    epochs: float | None = None,
    seconds: float | None = None,
    seed: int | None = None,
    device: str | None = None,
    callbacks: Sequence[Callback] = (),
    runs: str | Path = RUNS,
    say: Callable[[str], None] = print_line,
    live: bool = True,
    verbose: bool = False,
    **sections: Mapping[str, Any],
) -> Run:
    """Train by a recipe (a shipped name, a YAML path, or a Recipe) into runs/<name>.

    `steps`, `tokens`, `epochs` or `seconds` replace the recipe's budget. Further sections are laid over it:
    `train("story", model={"n_layers": 2}, train={"clip": 0.5})`. `callbacks` take part in the run after the built-in
    ones (see train/callbacks.py). Without `live` the terminal shows nothing but what is said; with `verbose` also which
    allocator, kernels and products compute the run. The same call again
    resumes a run that was interrupted and returns one that is finished. Raises LilliputError for anything that cannot
    be done as asked.
    """
    changes = {key: dict(value) for key, value in sections.items()}
    budget = {"steps": steps, "tokens": tokens, "epochs": epochs, "seconds": seconds}
    if any(value is not None for value in budget.values()):
        changes["train"] = {**budget, **changes.get("train", {})}
    changes |= {key: value for key, value in {"seed": seed, "device": device}.items() if value is not None}
    paths = [data] if isinstance(data, str) else list(data)
    resolved = recipes.load(recipe, overrides, changes, paths, name)
    folder = RunFolder(Path(runs) / resolved.name)
    with folder.locked():
        kept = kept_recipe(folder)
        recipes.mend(folder, kept, say)
        recipes.check_same(resolved, folder, kept)
        if not _finished(folder, say):
            _train(resolved, folder, callbacks, say, live, verbose)
        else:
            say(f"{folder.path} is finished already; train another with --name NEW")
    return Run(folder.path)


def _finished(folder: RunFolder, say: Callable[[str], None]) -> bool:
    """Whether the run has its summary. One that is damaged is moved aside and reported: the run ends once more."""
    try:
        return bool(folder.read_summary())
    except CheckpointError as error:
        say(f"{error.message}; moved aside as {set_aside(folder.summary).name}")
        return False


def _train(
    recipe: Recipe,
    folder: RunFolder,
    callbacks: Sequence[Callback],
    say: Callable[[str], None],
    live: bool,
    verbose: bool,
) -> None:
    recipes.write(recipe, folder)
    resume_from = checkpoint.newest_good(folder, say, move_aside=True)
    assembly = Assembly(recipe, folder, say, live=live, verbose=verbose)
    trainer = assembly.trainer(resume_from, callbacks)
    reason = trainer.train()
    if reason.startswith("interrupted"):
        say(f"{reason}: saved at step {trainer.step:,}; to go on: {command()} train {folder.recipe}")
        return
    write_sealed(folder.summary, conclude(assembly, trainer, reason))
    assembly.report()
