"""A callback: the largest gradient of a run, kept over a resume."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lilliput.base.files import write_json
from lilliput.training.callbacks import Callback, Record

if TYPE_CHECKING:
    from lilliput.training.trainer import Trainer


class LargestGradient(Callback):
    """runs/<name>/largest_gradient.json: the step with the largest norm of the gradient, and that norm."""

    phase = "record"

    def __init__(self) -> None:
        self.step, self.norm = 0, 0.0

    def on_step(self, trainer: Trainer, record: Record) -> None:
        if record["grad_norm"] > self.norm:
            self.step, self.norm = record["step"], record["grad_norm"]

    def on_end(self, trainer: Trainer) -> None:
        write_json(trainer.run.path / "largest_gradient.json", self.state())

    def state(self) -> dict[str, Any]:
        return {"step": self.step, "norm": self.norm}

    def load_state(self, state: dict[str, Any]) -> None:
        self.step, self.norm = state.get("step", 0), state.get("norm", 0.0)
