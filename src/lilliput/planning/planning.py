"""plan: forecast a recipe from a pilot of a few real steps here, and check the forecast against a finished run."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from lilliput.assembly.assembly import Assembly
from lilliput.assembly.recipe import Recipe, check_same
from lilliput.base.console import print_line
from lilliput.base.errors import CheckpointError
from lilliput.base.machine import can_compile, cores, memory
from lilliput.data.story import Stories
from lilliput.planning.chinchilla import TOKENS_PER_PARAMETER
from lilliput.planning.choice import STORY_TOKENS_PER_PARAMETER
from lilliput.planning.dial import load_recipe
from lilliput.planning.forecast import Forecast, check, forecast
from lilliput.planning.pilot import PILOT_SECONDS, endless, pilot
from lilliput.runs.finding import RUNS
from lilliput.runs.run_folder import RunFolder
from lilliput.training.settings import REPAYS_SECONDS


class Plan:
    """A forecast, with a note on compiling where the run may compile.

    Where a finished run of the same recipe exists, `checked` compares the forecast with that run:
    {'seconds': {'predicted', 'actual', 'error'}, ...}."""

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
    notify: Callable[[str], None] = print_line,
) -> Plan:
    """Prepare the recipe's data, train for `seconds` in a temporary folder, and forecast the whole run.

    The data stays in the cache for the run. `compiled` makes the pilot compile, which takes up to a minute more. Raises
    LilliputError as `train` does."""
    resolved = load_recipe(recipe, overrides, data=data, name=name)
    with tempfile.TemporaryDirectory(prefix="lilliput-pilot-") as folder:
        assembly = Assembly(endless(resolved, compiled), RunFolder(Path(folder)), notify)
        built_in = all(isinstance(source, Stories) for source in resolved.data.sources)
        found = forecast(
            assembly.model.config,
            resolved.train,
            resolved.evaluate,
            pilot(assembly, seconds),
            rows_per_epoch=assembly.loader.rows_per_epoch,
            cores=cores(),
            memory_bytes=memory() if assembly.device.type == "cpu" else None,
            tokens_per_parameter=STORY_TOKENS_PER_PARAMETER if built_in else TOKENS_PER_PARAMETER,
        )
    note = _note(resolved, found, can_compile(assembly.device))
    return Plan(resolved, found, note, _checked(found, resolved, RunFolder(Path(runs) / resolved.name)))


def _note(recipe: Recipe, found: Forecast, possible: bool) -> str | None:
    """Return a sentence where the run compiles and the pilot did not, or the other way round."""
    asked = recipe.train.compile
    will = possible and (asked is True or (asked == "auto" and found.training_seconds > REPAYS_SECONDS))
    if will == found.pilot.compiled:
        return None
    if will:
        return "the run will compile and the pilot did not: the run will be faster; --compiled compiles the pilot too"
    return "the pilot compiled and the run will not: the run will be slower"


def _checked(found: Forecast, recipe: Recipe, run: RunFolder) -> dict[str, dict[str, float]] | None:
    """Compare the forecast with a finished run of exactly this recipe; None without such a run."""
    if not run.summary.exists():
        return None
    try:
        check_same(recipe, run)
    except CheckpointError:
        return None  # a run of another recipe cannot check this forecast
    return check(found, run.read_summary())
