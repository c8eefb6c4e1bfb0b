"""plan: a recipe's forecast from a pilot of a few real steps on this machine, and the check of it on a finished run."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lilliput import recipe as recipes
from lilliput.api.assembly import Assembly
from lilliput.api.run import RUNS
from lilliput.base.config import override, validate
from lilliput.base.console import say as print_line
from lilliput.base.errors import CheckpointError
from lilliput.base.files import read_json
from lilliput.base.machine import can_compile, cores, memory, peak_memory
from lilliput.plan.forecast import Forecast, Pilot, check, forecast
from lilliput.recipe import Recipe
from lilliput.train.callbacks import Callback, Record
from lilliput.train.run_folder import RunFolder
from lilliput.train.settings import REPAYS_SECONDS

if TYPE_CHECKING:
    from lilliput.train.trainer import Trainer

PILOT_SECONDS = 4.0
WARM_UP_STEPS = 2


class Plan:
    """A forecast, with a note on compiling where the run may compile, and with what the finished run of the same
    recipe took, where there is one: {'seconds': {'predicted', 'actual', 'error'}, ...}."""

    def __init__(self, recipe: Recipe, found: Forecast, note: str | None, checked: dict[str, dict[str, float]] | None):
        self.recipe, self.forecast, self.note, self.checked = recipe, found, note, checked


def plan(
    recipe: str | Path | Recipe,
    overrides: Sequence[str] = (),
    *,
    data: Sequence[str] = (),
    name: str | None = None,
    seconds: float = PILOT_SECONDS,
    compiled: bool = False,
    runs: str | Path = RUNS,
    say: Callable[[str], None] = print_line,
) -> Plan:
    """Prepare the recipe's data (the run will find it in the cache), train `seconds` of it in a temporary folder and
    forecast the rest; `compiled` has the pilot compile, which takes up to a minute more. Raises LilliputError as
    `train` does."""
    resolved = recipes.load(recipe, overrides, data=data, name=name)
    with tempfile.TemporaryDirectory(prefix="lilliput-pilot-") as folder:
        assembly = Assembly(_endless(resolved, compiled), RunFolder(Path(folder)), say)
        pilot = _pilot(assembly, seconds)
        found = forecast(
            assembly.model.config,
            resolved.train,
            resolved.evaluate,
            pilot,
            rows_per_epoch=assembly.loader.rows_per_epoch,
            cores=cores(),
            memory_bytes=memory() if assembly.device.type == "cpu" else None,
        )
    note = _note(resolved, found, can_compile(assembly.device))
    return Plan(resolved, found, note, _checked(found, resolved, RunFolder(Path(runs) / resolved.name)))


def _endless(recipe: Recipe, compiled: bool) -> Recipe:
    """The same recipe with no end and nothing between its steps."""
    never = 10**9
    changes = [
        *(f"train.{bound}=null" for bound in ("tokens", "epochs", "seconds")),
        *(f"train.growth.{what}=null" for what in ("batch_tokens", "context")),
        f"train.steps={never}",
        f"train.checkpoint_steps={never}",
        f"train.compile={'true' if compiled else 'false'}",
    ]
    return validate(Recipe, override(recipe.model_dump(mode="json"), changes), "the pilot")


class _Stopwatch(Callback):
    """Ends the run `seconds` after its warm-up; notes the seconds of every later step, and of the last checkpoint."""

    def __init__(self, seconds: float):
        self.seconds = seconds
        self.warm_up, self.steps = 0, []
        self.began = self.ended = self.checkpoint = 0.0

    def on_step(self, trainer: Trainer, record: Record) -> None:
        self.ended = time.perf_counter()
        if self.warm_up < WARM_UP_STEPS:
            self.warm_up, self.began = self.warm_up + 1, self.ended
            return
        self.steps.append(record["step_seconds"])
        if self.ended - self.began >= self.seconds:
            trainer.stop("the pilot is over")

    def on_checkpoint(self, trainer: Trainer, folder: Path) -> None:
        self.checkpoint = time.perf_counter() - self.ended


def _pilot(assembly: Assembly, seconds: float) -> Pilot:
    """Train for `seconds`, then time one evaluation and one telling of the samples."""
    trainer, watch = assembly.trainer(None), _Stopwatch(seconds)
    trainer.callbacks[:] = [watch]
    trainer.train()
    evaluation = assembly.recipe.evaluate
    with trainer.autocast():
        began = time.perf_counter()
        assembly.score(evaluation.tokens)
        scored = time.perf_counter()
        if evaluation.samples != 0:
            assembly.tell(assembly.prompts)
        told = time.perf_counter()
    return Pilot(
        steps=len(watch.steps),
        step_seconds=sum(watch.steps) / len(watch.steps),
        evaluation_seconds=scored - began,
        samples_seconds=told - scored,
        checkpoint_seconds=watch.checkpoint,
        peak_bytes=peak_memory(assembly.device),
        device=str(assembly.device),
        precision=trainer.settings.precision,
        threads=trainer.settings.threads,
        micro_batch_rows=trainer.settings.micro_batch_rows,
        compiled=trainer.settings.compile,
    )


def _note(recipe: Recipe, found: Forecast, possible: bool) -> str | None:
    """Where pilot and run differ in compiling, the sentence that says so."""
    asked = recipe.train.compile
    will = possible and (asked is True or (asked == "auto" and found.training_seconds > REPAYS_SECONDS))
    if will == found.pilot.compiled:
        return None
    if will:
        return "the run will compile and the pilot did not: it will be faster than this; --compiled measures that too"
    return "the pilot compiled and the run will not: it will be slower than this"


def _checked(found: Forecast, recipe: Recipe, run: RunFolder) -> dict[str, dict[str, float]] | None:
    """The check against a finished run of exactly this recipe; None where there is none."""
    if not run.summary.exists():
        return None
    try:
        recipes.check_same(recipe, run)
    except CheckpointError:
        return None  # a run of another recipe says nothing of this one
    return check(found, read_json(run.summary))
