"""Callback: how everything that is not training takes part in a run; and the callback that keeps metrics.jsonl."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lilliput.base.machine import peak_memory
from lilliput.runs.names import PEAK_MEMORY_BYTES, TOKENS_PER_SECOND, VALIDATION

if TYPE_CHECKING:
    from lilliput.training.trainer import Trainer

Record = dict[str, Any]

LINES = 200
"""Lines of metrics.jsonl in a run that does not set `train.log_steps`."""


class Callback:
    """Four moments of a run; override those that matter. Callbacks run in the order they are given.

    `record` is the step's numbers (step, tokens, seconds, loss, bits_per_byte, learning_rate, grad_norm,
    tokens_per_second). A callback may add to it (`val_bits_per_byte`), and those after it see that. A callback may
    end the run with `trainer.stop(reason)`. What must survive a resume goes through `state` and `load_state`.
    """

    def on_start(self, trainer: Trainer) -> None:
        """Once, before the first step of this process; after a resume too."""

    def on_step(self, trainer: Trainer, record: Record) -> None:
        """After every step."""

    def on_checkpoint(self, trainer: Trainer, folder: Path) -> None:
        """After a checkpoint was written whole."""

    def on_end(self, trainer: Trainer) -> None:
        """Once, after the last checkpoint, also when the run was interrupted."""

    def state(self) -> dict[str, Any]:
        """JSON values to keep in every checkpoint."""
        return {}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take back what `state` gave."""


def memory_of(trainer: Trainer) -> Record:
    """`peak_memory_bytes`, the most that the process has held so far; nothing where that is not counted."""
    memory = peak_memory(trainer.device)
    return {} if memory is None else {PEAK_MEMORY_BYTES: memory}


class Metrics(Callback):
    """Writes metrics.jsonl: a line every `train.log_steps`, at each evaluation and at the last step.

    Loss and tokens a second are means since the line before."""

    SUMMED = ("loss", "bits_per_byte", "step_tokens", "step_seconds")

    def __init__(self) -> None:
        self.sums: dict[str, float] = dict.fromkeys((*self.SUMMED, "steps"), 0)

    def state(self) -> dict[str, Any]:
        return dict(self.sums)

    def load_state(self, state: dict[str, Any]) -> None:
        self.sums.update(state)

    def on_step(self, trainer: Trainer, record: Record) -> None:
        for key in self.SUMMED:
            self.sums[key] += record[key]
        self.sums["steps"] += 1
        evaluated = any(key.startswith(VALIDATION) for key in record)
        record["logged"] = trainer.due(trainer.config.log_steps, times=LINES) or evaluated or trainer.finished
        if not record["logged"]:
            return
        for key in ("loss", "bits_per_byte"):
            record[key] = self.sums[key] / self.sums["steps"]
        record[TOKENS_PER_SECOND] = self.sums["step_tokens"] / max(self.sums["step_seconds"], 1e-9)
        record |= memory_of(trainer)
        self.sums = dict.fromkeys(self.sums, 0)
        hidden = ("step_tokens", "step_seconds", "logged")
        trainer.run.append_metrics({key: value for key, value in record.items() if key not in hidden})
