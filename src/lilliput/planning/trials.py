"""batch_sizes and learning_rates: short real runs that differ in one number, kept on disk and compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from lilliput.assembly.assembly import dataset
from lilliput.assembly.recipe import Recipe, check_same
from lilliput.assembly.training import train
from lilliput.base.config import override, validate
from lilliput.base.console import print_line, progress, size
from lilliput.base.damage import read_kept, set_aside, write_sealed
from lilliput.base.errors import ConfigError, TrainingError
from lilliput.base.files import write_json, write_text
from lilliput.base.machine import choose_device, memory, peak_memory
from lilliput.generation.run import Run
from lilliput.model import counts
from lilliput.objectives.known import check_bits_per_byte
from lilliput.planning.dial import load_recipe
from lilliput.planning.tuning import Batches, Outcome, Rates, batches_page, judge_batches, judge_rates, rates_page
from lilliput.runs.finding import RUNS
from lilliput.runs.names import TOKENS_PER_SECOND, VAL_BITS_PER_BYTE
from lilliput.runs.run_folder import RunFolder

FACTORS = (1 / 64, 1 / 16, 1 / 4, 1.0, 4.0, 16.0, 64.0)
LEAST_STEPS = 4


class Interrupted(Exception):
    """A trial was interrupted. Finished trials are kept."""


@dataclass(frozen=True, slots=True)
class Tried:
    """The results of the trials, and the page that shows them; `found` is None where a trial was interrupted."""

    found: Rates | Batches | None
    page: Path
    base: Recipe

    def as_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        values = {"finished": self.found is not None, "page": str(self.page)}
        if self.found is not None:
            values |= {**asdict(self.found), "outcomes": [outcome.as_dict() for outcome in self.found.outcomes]}
        return values


def learning_rates(
    recipe: str | Path | Recipe,
    overrides: Sequence[str] = (),
    *,
    data: Sequence[str] = (),
    factors: Sequence[float] = FACTORS,
    steps: int = 100,
    name: str = "learning-rate",
    runs: str | Path = RUNS,
    notify: Callable[[str], None] = print_line,
) -> Tried:
    """Train `steps` steps at every multiple in `factors` of all the recipe's learning rates, into runs/<name>/<run>.

    The same call again keeps finished runs. Raises LilliputError as `train` does, and ConfigError for trials that are
    not longer than the recipe's warm-up."""
    if not factors or min(factors) <= 0 or steps < LEAST_STEPS:
        raise ConfigError(f"factors have to be above 0, and steps {LEAST_STEPS} or more (given {steps})")
    base = load_recipe(recipe, overrides, data=data)
    check_bits_per_byte(base.objective)
    warm_up = base.train.schedule.warmup_steps
    if steps <= warm_up:
        # A trial inside the warm-up never reaches its full rate, so its verdict would belong to another rate.
        raise ConfigError(
            f"trials of {steps} steps end inside the warm-up of {warm_up} (train.schedule.warmup_steps): none would "
            "train at its full rate",
            f"give --steps {max(2 * warm_up, LEAST_STEPS)} or more, or train.schedule.warmup_steps={steps // 4}",
        )
    trials = {}
    for factor in sorted(set(factors)):
        rates = {key: rate * factor for key, rate in learning_rates_of(base).items()}
        changes = [f"train.optimizer.{key}={rate!r}" for key, rate in rates.items()]
        changes += [f"train.steps={steps}", "train.tokens=null", f"evaluate.steps={max(1, steps // 5)}"]
        trials[factor] = _short(base, f"x{factor:.6g}".replace("+", ""), changes)
    folder = Path(runs) / name
    found = _all(trials, folder, base, notify, _in_process)
    judged = None if found is None else judge_rates(found)
    return _written(judged, folder, base, lambda: rates_page(name, judged) if isinstance(judged, Rates) else "")


def learning_rates_of(recipe: Recipe) -> dict[str, float]:
    """Return the learning rates that a recipe uses, by their key in `train.optimizer`."""
    optimizer = recipe.train.optimizer
    keys = ["learning_rate", "embedding_learning_rate"] + (["muon_learning_rate"] if optimizer.kind == "muon" else [])
    return {key: rate for key in keys if (rate := getattr(optimizer, key)) is not None}


def batch_sizes(
    recipe: str | Path | Recipe,
    overrides: Sequence[str] = (),
    *,
    data: Sequence[str] = (),
    sizes: Sequence[int] = (),
    tokens: int | None = None,
    name: str = "batch-size",
    runs: str | Path = RUNS,
    notify: Callable[[str], None] = print_line,
) -> Tried:
    """Train on the same number of `tokens` with every batch of `sizes` tokens, each batch in one pass.

    Without `sizes` the batches are 1 to 64 rows, doubling. Every run has a process of its own: the process's peak
    memory is the run's, and running out of memory ends only that run. The same call again keeps finished runs. Raises
    LilliputError as `train` does."""
    base = load_recipe(recipe, overrides, data=data)
    check_bits_per_byte(base.objective)
    context = base.model.context_length
    wanted = sorted(set(sizes)) or [context * 2**power for power in range(7)]
    if wanted[0] < context:
        raise ConfigError(f"a batch of {wanted[0]} tokens is less than one row of {context} (model.context_length)")
    tokens = tokens or LEAST_STEPS * wanted[-1]
    if tokens < LEAST_STEPS * wanted[-1]:
        raise ConfigError(
            f"{tokens:,} tokens are under {LEAST_STEPS} steps of the largest batch ({wanted[-1]:,} tokens)",
            f"give --tokens {LEAST_STEPS * wanted[-1]} or smaller --sizes",
        )
    trials = {}
    for batch in wanted:
        steps = max(1, tokens // batch)
        changes = [f"train.batch_tokens={batch}", f"train.micro_batch_tokens={batch}", f"train.steps={steps}"]
        changes += ["train.tokens=null", f"evaluate.steps={max(1, steps // 4)}"]
        trials[float(batch)] = _short(base, f"b{batch}", changes)
    folder = Path(runs) / name
    found = _all(trials, folder, base, notify, _in_own_process)
    judged = None if found is None else judge_batches(found)
    return _written(judged, folder, base, lambda: batches_page(name, judged) if isinstance(judged, Batches) else "")


def _short(base: Recipe, name: str, changes: Sequence[str]) -> Recipe:
    """Return the recipe of one trial: its changes, without samples, trackers and other work that a comparison does not
    need."""
    plain = ["train.epochs=null", "train.seconds=null", "evaluate.samples=0", "evaluate.baselines=[]"]
    values = {**base.model_dump(mode="json"), "name": name}
    return validate(Recipe, override(values, [*plain, "evaluate.patience=null", *changes]), name)


def _all(
    trials: dict[float, Recipe],
    folder: Path,
    base: Recipe,
    notify: Callable[[str], None],
    run: Callable[[float, Recipe, Path], Outcome],
) -> list[Outcome] | None:
    """Return the outcome of every trial, and show a bar; None where a trial was interrupted."""
    for recipe in trials.values():
        check_same(recipe, RunFolder(folder / recipe.name))
    dataset(base, notify)  # before the bar, which would hide messages about the data
    outcomes = []
    with progress(folder.name, len(trials), "runs") as bar:
        for value, recipe in trials.items():
            bar.describe(f"{folder.name} {recipe.name}")
            try:
                outcomes.append(run(value, recipe, folder))
            except Interrupted:
                return None
            bar.advance()
    return outcomes


def _written(found: Rates | Batches | None, folder: Path, base: Recipe, page: Callable[[], str]) -> Tried:
    tried = Tried(found, folder / "trials.html", base)
    if found is not None:
        write_text(tried.page, page())
        write_json(folder / "results.json", tried.as_dict())
    return tried


def _known(kept: Path) -> Outcome | None:
    """Read the outcome that a trial's folder holds. A damaged file is moved aside, and the outcome is made again from
    the trial's run."""
    if not kept.exists():
        return None
    try:
        return Outcome(**read_kept(kept))
    except (OSError, ValueError, TypeError):
        set_aside(kept)
        return None


def _in_process(value: float, recipe: Recipe, folder: Path) -> Outcome:
    """Run a trial in this process, or read its outcome where its folder keeps one. Raises Interrupted."""
    kept = folder / recipe.name / "trial.json"
    if (known := _known(kept)) is not None:
        return known
    try:
        run = train(recipe, runs=folder, notify=_quiet, live=False)
    except TrainingError as error:
        outcome = _outcome(value, Run(folder / recipe.name), error.message)
    else:
        if not run.summary:
            raise Interrupted
        outcome = _outcome(value, run, None)
    write_sealed(kept, asdict(outcome))
    return outcome


def _outcome(value: float, run: Run, failed: str | None) -> Outcome:
    """Return the outcome that a trial's folder holds."""
    losses = [line[VAL_BITS_PER_BYTE] for line in run.metrics if VAL_BITS_PER_BYTE in line]
    last_line, summary = run.metrics[-1] if run.metrics else {}, run.summary
    return Outcome(
        value=value,
        steps=summary.get("steps", last_line.get("step", 0)),
        tokens=summary.get("tokens", last_line.get("tokens", 0)),
        first=losses[0] if losses else None,
        lowest=min(losses) if losses else None,
        last=losses[-1] if summary and losses else None,  # not the summary's, which is of a larger set
        tokens_per_second=summary.get(TOKENS_PER_SECOND),
        peak_bytes=None,
        failed=failed,
    )


def _in_own_process(value: float, recipe: Recipe, folder: Path) -> Outcome:
    """Run a trial in a new process and measure its peak memory. A trial that certainly needs more memory than the
    machine has is not started."""
    kept = folder / recipe.name / "trial.json"
    if (known := _known(kept)) is not None:
        return known
    rows, context = recipe.train.batch_tokens // recipe.model.context_length, recipe.model.context_length
    needed = sum(counts.memory(recipe.model, rows, context, recipe.train.optimizer.kind).training.values())
    if choose_device(recipe.device).type == "cpu" and needed > memory():
        return _failed(value, f"needs about {size(needed)}, and this machine has {size(memory())}")
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        try:
            return pool.submit(_child, value, recipe.model_dump_json(), str(folder)).result()
        except BrokenProcessPool:
            return _failed(value, "its process was killed, most likely for want of memory")
        except KeyboardInterrupt:
            raise Interrupted from None


def _failed(value: float, why: str) -> Outcome:
    return Outcome(value, 0, 0, None, None, None, None, None, why)


def _child(value: float, recipe: str, folder: str) -> Outcome:
    """Run a trial as the new process's main function."""
    asked = Recipe.model_validate_json(recipe)
    try:
        outcome = _in_process(value, asked, Path(folder))
    except RuntimeError as error:
        if "memory" not in str(error):
            raise
        return _failed(value, f"out of memory: {str(error).splitlines()[0]}")
    measured = Outcome(**{**asdict(outcome), "peak_bytes": peak_memory(choose_device(asked.device))})
    write_sealed(Path(folder) / asked.name / "trial.json", asdict(measured))
    return measured


def _quiet(text: str) -> None:
    """Print nothing: the progress bar stands for the runs' messages."""
