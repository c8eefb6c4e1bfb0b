"""The load of experts through training: how the choices of each layer's router are spread, and a router's collapse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from lilliput.model.experts import Experts
from lilliput.runs.expert_section import idle
from lilliput.runs.names import EXPERT_LOAD
from lilliput.training.callbacks import LINES, Callback, Record
from lilliput.training.trainer import Trainer

COLLAPSED = 0.5
"""The share of idle experts from which a router counts as collapsed."""
SETTLED = 0.25
"""Progress of the run after which a collapse is reported. Early routers are uneven."""


class ExpertLoad(Callback):
    """Adds `expert_load` to the lines of metrics.jsonl: for each layer the share of the choices that each expert had,
    means since the line before. Reports a collapsed router once."""

    def __init__(self, experts: Sequence[Experts]):
        self.experts = experts
        self.sums: list[list[float]] = []
        self.steps = 0
        self.reported = False

    def state(self) -> dict[str, Any]:
        return {"sums": self.sums, "steps": self.steps, "reported": self.reported}

    def load_state(self, state: dict[str, Any]) -> None:
        self.sums, self.steps = [list(layer) for layer in state.get("sums", [])], int(state.get("steps", 0))
        self.reported = bool(state.get("reported", False))

    def on_step(self, trainer: Trainer, record: Record) -> None:
        loads = [one.load.tolist() for one in self.experts if isinstance(one.load, torch.Tensor)]
        before = self.sums or [[0.0] * len(layer) for layer in loads]
        self.sums = [[a + b for a, b in zip(*pair, strict=True)] for pair in zip(before, loads, strict=True)]
        self.steps += 1
        if not (trainer.due(trainer.config.log_steps, LINES) or trainer.finished):
            return
        record[EXPERT_LOAD] = [[round(value / self.steps, 4) for value in layer] for layer in self.sums]
        self.sums, self.steps = [], 0
        self._report(trainer, record[EXPERT_LOAD])

    def _report(self, trainer: Trainer, loads: Sequence[Sequence[float]]) -> None:
        if self.reported or trainer.counters.progress < SETTLED:
            return
        found = [f"layer {layer}: {idle(one)} of {len(one)}" for layer, one in enumerate(loads) if collapsed(one)]
        if found:
            self.reported = True
            trainer.notify(
                f"COLLAPSED ROUTER: experts that have next to no tokens: {', '.join(found)}; train again with "
                "model.balance=loss and a larger model.balance_loss"
            )


def collapsed(load: Sequence[float]) -> bool:
    """Whether a router's choices leave so many experts idle that it has collapsed."""
    return idle(load) >= COLLAPSED * len(load)
