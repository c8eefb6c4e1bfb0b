"""Callback: the interface of all work beside training in a run, and the writer of metrics.jsonl."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from lilliput.base.errors import ConfigError, TrainingError
from lilliput.base.machine import peak_memory
from lilliput.runs.names import PEAK_MEMORY_BYTES, TOKENS_PER_SECOND

if TYPE_CHECKING:
    from lilliput.training.trainer import Trainer

Record = dict[str, Any]
Phase = Literal["measure", "record", "show"]
PHASES: tuple[Phase, ...] = ("measure", "record", "show")

LINES = 200
"""Lines of metrics.jsonl in a run that does not set `train.log_steps`."""


class Callback:
    """Four moments of a run. A subclass overrides the methods of the moments that it needs.

    At each moment callbacks run by `phase`, and within a phase in the order in which they were given:

    measure  adds to `record`
    record   writes the record
    show     shows the record, and adds nothing

    `record` holds the step's numbers: step, tokens, seconds, loss, learning_rate, grad_norm, tokens_per_second, and the
    numbers of the objective, such as bits_per_byte. Every number that a callback adds (`val_bits_per_byte`) is written:
    the step then has a line in metrics.jsonl, whatever `train.log_steps` is. A callback may end the run with
    `trainer.stop(reason)`, or leave it to be resumed with `trainer.interrupt(reason)`.

    State that must survive a resume goes through `state` and `load_state`. The state is kept by `key`, by default the
    name of the class. Where several callbacks have one key, the state of the second callback is kept as "key 2", in the
    given order.
    """

    phase: ClassVar[Phase] = "measure"
    key: str = ""

    def on_start(self, trainer: Trainer) -> None:
        """Called once, before the first step of this process; after a resume too."""

    def on_step(self, trainer: Trainer, record: Record) -> None:
        """Called after every step."""

    def on_checkpoint(self, trainer: Trainer, folder: Path) -> None:
        """Called after a checkpoint was written whole."""

    def on_end(self, trainer: Trainer) -> None:
        """Called once, after the last checkpoint, also when the run was interrupted."""

    def state(self) -> dict[str, Any]:
        """Return JSON values to keep in every checkpoint."""
        return {}

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore the values that `state` returned."""


def memory_of(trainer: Trainer) -> Record:
    """`peak_memory_bytes`, the most memory of the process so far; empty where the system does not count it."""
    memory = peak_memory(trainer.device)
    return {} if memory is None else {PEAK_MEMORY_BYTES: memory}


class Metrics(Callback):
    """Writes metrics.jsonl: a line every `train.log_steps`, where a callback added something, and at the last step.

    Loss, the objective's own figures, and tokens a second are means since the previous line. A figure that some steps
    lack is the mean of the other steps."""

    phase = "record"

    def __init__(self) -> None:
        self.sums: dict[str, float] = {}
        self.counts: dict[str, int] = {}

    def state(self) -> dict[str, Any]:
        return {"sums": dict(self.sums), "counts": dict(self.counts)}

    def load_state(self, state: dict[str, Any]) -> None:
        if "steps" in state:  # older checkpoints hold the sums, and one count for all of them
            state = {"sums": state, "counts": dict.fromkeys(state, int(state["steps"]))}
        self.sums, self.counts = dict(state.get("sums", {})), dict(state.get("counts", {}))

    def on_step(self, trainer: Trainer, record: Record) -> None:
        for key in ("loss", *trainer.objective.reported(record["loss"]), "step_tokens", "step_seconds"):
            self.sums[key] = self.sums.get(key, 0) + record[key]
            self.counts[key] = self.counts.get(key, 0) + 1
        if not record["logged"]:
            return
        for key, total in self.sums.items():
            if key not in ("step_tokens", "step_seconds", "steps"):
                record[key] = total / self.counts[key]
        record[TOKENS_PER_SECOND] = self.sums["step_tokens"] / max(self.sums["step_seconds"], 1e-9)
        record |= memory_of(trainer)
        self.sums, self.counts = {}, {}
        hidden = ("step_tokens", "step_seconds", "logged")
        trainer.run.append_metrics({key: value for key, value in record.items() if key not in hidden})


class Rollouts(Callback):
    """Writes the objective's rollouts of each logged step to rollouts.jsonl."""

    phase = "record"

    def on_step(self, trainer: Trainer, record: Record) -> None:
        if record["logged"] and (rollouts := trainer.objective.rollouts()):
            trainer.run.append_rollouts(trainer.step, rollouts)


def in_phases(callbacks: Sequence[Callback]) -> list[Callback]:
    """Order callbacks by phase: measure, record, show. Raises ConfigError for an unknown phase."""
    for callback in callbacks:
        if callback.phase not in PHASES:
            name, known = type(callback).__name__, ", ".join(PHASES)
            raise ConfigError(f"the callback {name} has the phase '{callback.phase}'", f"phases are {known}")
    return sorted(callbacks, key=lambda callback: PHASES.index(callback.phase))


def keys(callbacks: Sequence[Callback]) -> dict[str, Callback]:
    """Return the callbacks by the names under which their states are kept. Each callback has a different name."""
    named: dict[str, Callback] = {}
    for callback in callbacks:
        key = own = callback.key or type(callback).__name__
        number = 1
        while key in named:
            number += 1
            key = f"{own} {number}"
        named[key] = callback
    return named


def see_step(callbacks: Sequence[Callback], trainer: Trainer, record: Record, due: bool) -> None:
    """Pass a step's record to callbacks that are ordered by phase. The record is logged where that is `due`, where a
    measuring callback added to it, and at the last step. Raises TrainingError for a number that is added too late to be
    written."""
    given = set(record)
    for callback in callbacks:
        if callback.phase == "measure":
            callback.on_step(trainer, record)
    record["logged"] = due or trainer.finished or record.keys() != given
    for callback in callbacks:
        if callback.phase == "record":
            callback.on_step(trainer, record)
    written = set(record)
    for callback in callbacks:
        if callback.phase == "show":
            callback.on_step(trainer, record)
            if late := record.keys() - written:
                name = type(callback).__name__
                raise TrainingError(
                    f"the callback {name} added {', '.join(sorted(late))} to the record after it was written",
                    f'give {name} phase = "measure"',
                )
