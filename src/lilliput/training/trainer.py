"""The training loop: batches in, steps out; it knows no objective, no model style and no instrument by name."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lilliput.base.errors import TrainingError
from lilliput.base.seeds import generator
from lilliput.runs import checkpoint
from lilliput.runs.names import EPSILON, GRADIENTS, TOKENS_PER_SECOND
from lilliput.runs.run_folder import RunFolder
from lilliput.training import schedule
from lilliput.training.callbacks import LINES, Callback, Record, in_phases, keys, see_step
from lilliput.training.config import TrainConfig
from lilliput.training.interrupt import Abandoned, Interrupt
from lilliput.training.outcome import FINISHED, OutcomeKind, RunOutcome
from lilliput.training.privacy import private_gradients
from lilliput.training.settings import Settings
from lilliput.training.stepper import StepOutcome, Stepper

if TYPE_CHECKING:
    from lilliput.data.loader import Loader
    from lilliput.objectives.batch import Batch
    from lilliput.objectives.objective import Objective

ADVICE = "lower the learning rate (train.optimizer.learning_rate), clip harder (train.clip) or try train.precision=fp32"


@dataclass(slots=True)
class Counters:
    """The progress of a run. `position` counts rows drawn from the loader's endless stream. `seconds` is wall time over
    all processes that worked on the run, and `training_seconds` the part of it in steps. `progress` is the share of the
    budget used after the last step, and `before` the share after the step before it that callbacks saw."""

    step: int = 0
    position: int = 0
    tokens: int = 0
    seconds: float = 0.0
    training_seconds: float = 0.0
    skipped: int = 0
    skipped_in_row: int = 0
    rollbacks: int = 0
    before: float = 0.0
    progress: float = 0.0


@dataclass(frozen=True, slots=True)
class Drawn:
    """A batch and its origin: `rows` rows of the loader from `position` on."""

    batch: Batch
    position: int
    rows: int


class Trainer:
    """Trains `model` on rows of `loader` by `objective` into `run`.

    objective           built for `model`, which it holds
    resume_from         a verified checkpoint to go on from (`checkpoint.newest_good`)
    write_model         writes the stock folder of the weights as they are: `write_model(folder)`
    read_model          puts the weights of such a folder into `model`
    notify prints one line
    """

    def __init__(
        self,
        objective: Objective,
        loader: Loader,
        config: TrainConfig,
        run: RunFolder,
        settings: Settings,
        *,
        seed: int,
        write_model: Callable[[Path], None],
        read_model: Callable[[Path], None],
        resume_from: Path | None = None,
        callbacks: Sequence[Callback] = (),
        notify: Callable[[str], None] = print,
    ):
        self.model, self.objective, self.loader = objective.model, objective, loader
        self.config, self.run, self.settings, self.seed = config, run, settings, seed
        self.callbacks, self.notify = in_phases(callbacks), notify
        self.write_model, self.read_model = write_model, read_model
        self.device = next(self.model.parameters()).device
        self.counters = Counters()
        self.context_length, self.row_tokens = loader.context_length, loader.row_tokens
        schedule.row_length(config, self.context_length)  # a wrong value is reported before anything is written
        self.budget = schedule.Budget.of(config, self.row_tokens, loader.rows_per_epoch)
        self.private = private_gradients(objective, config, loader, self.budget, seed)
        self.stepper = Stepper(
            objective, config, settings, seed=seed, context_length=self.context_length, private=self.private
        )
        self.optimizers = self.stepper.optimizers
        self.stopped: RunOutcome | None = None
        self._interrupt = Interrupt()
        self._resume_from, self._saved_step = resume_from, -1
        self._clock = self._saved_at = time.perf_counter()

    # ------------------------------------------------------------------ the interface for callbacks

    @property
    def step(self) -> int:
        """Steps done."""
        return self.counters.step

    @property
    def seconds(self) -> float:
        """Wall seconds of the run so far, earlier processes included."""
        return self.counters.seconds + time.perf_counter() - self._clock

    @property
    def progress(self) -> float:
        """Share of the budget used, 0 to 1."""
        return self.budget.progress(self.step, self.seconds)

    @property
    def finished(self) -> bool:
        """Whether no further step follows. It is settled when a step is done, so that all callbacks get one answer."""
        return self.stopped is not None or self.counters.progress >= 1.0

    def due(self, every: int | None, times: int = 10) -> bool:
        """Whether an event of every `every` steps is due after this step; None stands for `times` times a run. A run
        without a clock counts steps, so that it repeats exactly. A run with a clock goes by progress, because the clock
        may end it."""
        if every is None and self.budget.steps is not None and self.budget.seconds is None:
            every = math.ceil(self.budget.steps / times)
        return (
            self.step % every == 0 if every else int(self.counters.progress * times) > int(self.counters.before * times)
        )

    @property
    def rate(self) -> float:
        """The learning rate that a next step would take, as a multiple of its peak."""
        return schedule.factor(self.config.schedule, self.step, self.counters.progress)

    @property
    def final_rate(self) -> float:
        """The learning rate at the end of the whole budget, as a multiple of its peak."""
        return schedule.factor(self.config.schedule, self.config.schedule.warmup_steps, 1.0)

    def longer(self, factor: float) -> str:
        """Return the overrides for a run `factor` times as long as this run was so far (see `schedule.longer`)."""
        shape = self.row_tokens, self.loader.rows_per_epoch
        seconds = min(self.seconds, self.budget.seconds or math.inf)  # without the work after the last step
        return schedule.longer(self.config, *shape, steps=factor * self.step, seconds=factor * seconds)

    def stop(self, reason: str) -> None:
        """End the run after this step; the first reason given is kept."""
        self.stopped = self.stopped or RunOutcome(OutcomeKind.STOPPED, reason)

    def interrupt(self, reason: str) -> None:
        """Leave the run after this step, saved and without a summary. The same command resumes it."""
        self.stopped = self.stopped or RunOutcome(OutcomeKind.INTERRUPTED, reason)

    def autocast(self) -> AbstractContextManager[Any]:
        """The precision of this run for a forward pass."""
        return self.stepper.autocast()

    # ------------------------------------------------------------------ the run

    def train(self) -> RunOutcome:
        """Train to the end of the budget, a stop or an interrupt, and return which of these ended the run."""
        self._resume()
        self._clock = time.perf_counter()
        with self._interrupt as interrupt, ThreadPoolExecutor(1, "batches") as pool:
            for callback in self.callbacks:
                callback.on_start(self)
            pending = pool.submit(self._make_batch, self.counters.position, self.progress)
            while not self.finished:
                try:
                    pending = self._one_step(pending, pool)
                except Abandoned:  # the work before has changed only gradients
                    self.optimizers.zero_grad()
                if interrupt.name:
                    self.interrupt(f"interrupted by {interrupt.name}")
                    break
                if self.due(self.config.checkpoint_steps) or self._is_early(self.step) or self._long_unsaved():
                    self.save()
            pending.cancel()
        if self._saved_step != self.step:
            self.save()
        self.counters.seconds, self._clock = self.seconds, time.perf_counter()
        for callback in self.callbacks:
            callback.on_end(self)
        return self.stopped or FINISHED

    def _one_step(self, pending: Future[Drawn], pool: ThreadPoolExecutor) -> Future[Drawn]:
        """One step on the pending batch; returns the next one, made while this step computes."""
        began = time.perf_counter()
        drawn = pending.result()
        position = drawn.position + drawn.rows
        upcoming = self.budget.progress(self.step + 1, self.seconds)
        following = pool.submit(self._make_batch, position, upcoming)
        factor = schedule.factor(self.config.schedule, self.step, self.progress)
        outcome = self.update(drawn.batch, factor)
        spent = time.perf_counter() - began
        self.counters.position = position
        self.counters.training_seconds += spent
        self.counters.step += 1
        self.counters.tokens += drawn.rows * self.row_tokens
        if not self.counters.skipped_in_row:  # events that were due at a skipped step are due at the next applied step
            self.counters.before = self.counters.progress
        self.counters.progress = self.progress
        if not outcome.applied:
            self._skipped(drawn, outcome)
            return following
        self.counters.skipped_in_row = 0
        self._report(outcome, drawn.rows * self.row_tokens, spent)
        return following

    def _make_batch(self, position: int, progress: float) -> Drawn:
        """The batch of a step that begins when `progress` of the run is over."""
        rows = schedule.step_rows(self.config, self.row_tokens, progress)
        batch = self.objective.batch(self.loader.take(position, rows), generator(self.seed, "batch", position))
        if self.config.growth.context is not None:
            batch = batch.cut(schedule.row_length(self.config, self.context_length, progress))
        return Drawn(batch.pinned() if self.device.type == "cuda" else batch, position, rows)

    def update(self, batch: Batch, factor: float) -> StepOutcome:
        """Train on a batch (see Stepper.update). Raises Abandoned where an interrupt could not wait for the work
        before the first optimiser's step."""
        return self.stepper.update(batch, self.step, factor, self._interrupt.abandonable)

    def _report(self, outcome: StepOutcome, tokens: int, seconds: float) -> None:
        record: Record = {
            "step": self.step,
            "tokens": self.counters.tokens,
            "seconds": round(self.seconds, 3),
            "loss": outcome.loss,
            **self.objective.reported(outcome.loss),
            "learning_rate": self.optimizers.learning_rate,
            "grad_norm": outcome.grad_norm,
            **({EPSILON: self.private.plan.epsilon(self.step)} if self.private else {}),
            TOKENS_PER_SECOND: tokens / max(seconds, 1e-9),
            "step_tokens": tokens,
            "step_seconds": seconds,
            **outcome.metrics,
            **({GRADIENTS: [float(f"{norm:.4g}") for norm in outcome.by_block]} if outcome.by_block else {}),
        }
        due = self.due(self.config.log_steps, times=LINES)
        see_step(self.callbacks, self, record, due)

    # ------------------------------------------------------------------ when numbers stop being finite

    def _skipped(self, drawn: Drawn, outcome: StepOutcome) -> None:
        """Report the documents of a batch whose step was skipped. Too many skipped steps in a row roll back, and later
        end the run."""
        self.counters.skipped += 1
        self.counters.skipped_in_row += 1
        names = self.loader.document_ids(self.loader.take(drawn.position, drawn.rows))
        shown = ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
        self.notify(
            f"step {self.step} skipped: loss {outcome.loss:.4g}, gradient norm {outcome.grad_norm:.4g}; "
            f"its documents: {shown}"
        )
        if self.counters.skipped_in_row >= self.config.skip_limit:
            self._roll_back()

    def _roll_back(self) -> None:
        """Return to the last good checkpoint and continue after the data that failed. The second time, end the run."""
        folder = checkpoint.newest_good(self.run, self.notify, move_aside=True)
        count = self.counters.skipped_in_row
        if folder is None or self.counters.rollbacks:
            kept = f"the last good checkpoint is {folder}" if folder else "no checkpoint was reached"
            raise TrainingError(f"training diverged: {count} steps in a row were not finite; {kept}", ADVICE)
        failed, seconds = self.counters, self.seconds
        self._load(folder)
        self.counters.position, self.counters.seconds = failed.position, seconds  # the used time is not given back
        self.counters.skipped, self.counters.rollbacks = failed.skipped, failed.rollbacks + 1
        self.run.rewind(self.step, self.notify)
        self.notify(
            f"{count} steps in a row were not finite: rolled back to step {self.step}, past the data that failed"
        )

    # ------------------------------------------------------------------ checkpoints

    def _is_early(self, step: int) -> bool:
        """One of the steps 1, 2, 4 ... 512 that `train.early_checkpoints` keeps, since most is learnt early."""
        return self.config.early_checkpoints and step <= 512 and step & (step - 1) == 0

    def _long_unsaved(self) -> bool:
        """Whether `train.checkpoint_seconds` of this process are over since anything was saved."""
        return time.perf_counter() - self._saved_at >= self.config.checkpoint_seconds

    def save(self) -> Path:
        """Write a checkpoint of this moment, and delete the checkpoints that are no longer kept."""
        values = {
            "counters": {**asdict(self.counters), "seconds": self.seconds},
            "settings": asdict(self.settings),
            "objective": self.objective.state(),
            **({"privacy": asdict(self.private.plan)} if self.private else {}),
            "callbacks": {key: callback.state() for key, callback in keys(self.callbacks).items()},
        }
        state = self.stepper.state(values)
        folder = checkpoint.write(self.run, self.step, self.write_model, state)
        self._saved_step, self._saved_at = self.step, time.perf_counter()
        checkpoint.prune(self.run, self.config.keep_checkpoints, self._is_early)
        for callback in self.callbacks:
            callback.on_checkpoint(self, folder)
        return folder

    def _resume(self) -> None:
        """Resume from the given checkpoint. Lines that an earlier process logged after it are removed."""
        if self._resume_from is not None:
            self._load(self._resume_from)
            self._saved_step = self.step
            self.notify(f"resumed {self.run.path} at step {self.step:,}")
        self.run.rewind(self.step if self._resume_from else -1, self.notify)

    def _load(self, folder: Path) -> None:
        self.read_model(folder / "model")
        state = checkpoint.read_state(folder)
        if self.private is not None:
            self.private.plan.check(state.values.get("privacy"))
        self.stepper.load_state(state, folder)
        self.counters = Counters(**state.values["counters"])
        self._clock = time.perf_counter()
        self.objective.load_state(state.values.get("objective", {}))
        self.counters.progress = self.counters.progress or self.progress  # older checkpoints do not hold it
        for key, callback in keys(self.callbacks).items():
            callback.load_state(state.values["callbacks"].get(key, {}))
