"""train: the rooms put together for one run, from recipe to summary and report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from lilliput.assembly.assembly import Assembly
from lilliput.assembly.ending import conclude
from lilliput.assembly.kept_recipe import kept_recipe
from lilliput.assembly.recipe import Recipe, check_same, mend, write
from lilliput.base.console import command, print_line
from lilliput.base.damage import set_aside, write_sealed
from lilliput.base.errors import CheckpointError
from lilliput.generation.run import Run
from lilliput.runs import checkpoint
from lilliput.runs.finding import RUNS
from lilliput.runs.run_folder import RunFolder
from lilliput.training.callbacks import Callback
from lilliput.training.outcome import OutcomeKind


def train(
    recipe: Recipe,
    *,
    callbacks: Sequence[Callback] = (),
    runs: str | Path = RUNS,
    notify: Callable[[str], None] = print_line,
    live: bool = True,
    verbose: bool = False,
) -> Run:
    """Train by `recipe` into runs/<name>, as `lilliput.train` does. Raises LilliputError."""
    folder = RunFolder(Path(runs) / recipe.name)
    with folder.locked():
        kept = kept_recipe(folder)
        mend(folder, kept, notify)
        check_same(recipe, folder, kept)
        if not _finished(folder, notify):
            _train(recipe, folder, callbacks, notify, live, verbose)
        else:
            notify(f"{folder.path} is finished already; to train another run, add --name NEW")
    return Run(folder.path)


def _finished(folder: RunFolder, notify: Callable[[str], None]) -> bool:
    """Whether the run has its summary. A damaged summary is moved aside and reported, and the run ends once more."""
    try:
        return bool(folder.read_summary())
    except CheckpointError as error:
        notify(f"{error.message}; moved aside as {set_aside(folder.summary).name}")
        return False


def _train(
    recipe: Recipe,
    folder: RunFolder,
    callbacks: Sequence[Callback],
    notify: Callable[[str], None],
    live: bool,
    verbose: bool,
) -> None:
    write(recipe, folder)
    resume_from = checkpoint.newest_good(folder, notify, move_aside=True)
    assembly = Assembly(recipe, folder, notify, resume_from=resume_from, live=live, verbose=verbose)
    trainer = assembly.trainer(resume_from, callbacks)
    outcome = trainer.train()
    if outcome.kind is OutcomeKind.INTERRUPTED:
        notify(f"{outcome}: saved at step {trainer.step:,}; to resume: {command()} train {folder.recipe}")
        return
    write_sealed(folder.summary, conclude(assembly, trainer, outcome))
    assembly.report()
