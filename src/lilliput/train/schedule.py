"""Learning-rate schedules as pure functions, and the budget that says how far a run has come."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lilliput.train.config import ScheduleConfig, TrainConfig


def factor(config: ScheduleConfig, step: int, progress: float) -> float:
    """The learning rate of step number `step` (from 0) as a multiple of its peak; `progress` in [0, 1] is how much
    of the budget was used before the step."""
    warmup = min(1.0, (step + 1) / config.warmup_steps) if config.warmup_steps else 1.0
    return warmup * _decay(config, min(max(progress, 0.0), 1.0))


def _decay(config: ScheduleConfig, progress: float) -> float:
    low = config.final_fraction
    if config.kind == "constant":
        return 1.0
    if config.kind == "cosine":
        return low + (1 - low) * 0.5 * (1 + math.cos(math.pi * progress))
    if config.kind == "linear":
        return low + (1 - low) * (1 - progress)
    left = (1 - progress) / config.decay_fraction
    return low + (1 - low) * min(1.0, left)


@dataclass(frozen=True, slots=True)
class Budget:
    """When a run ends. `steps` is the tightest of steps, tokens and epochs; `seconds` is a clock beside it."""

    steps: int | None
    seconds: float | None

    @staticmethod
    def of(config: TrainConfig, rows_per_step: int, tokens_per_step: int, rows_per_epoch: int) -> Budget:
        bounds = [
            config.steps,
            None if config.tokens is None else math.ceil(config.tokens / tokens_per_step),
            None if config.epochs is None else math.ceil(config.epochs * rows_per_epoch / rows_per_step),
        ]
        known = [bound for bound in bounds if bound is not None]
        return Budget(steps=min(known) if known else None, seconds=config.seconds)

    def progress(self, step: int, seconds: float) -> float:
        """Share of the budget used, in [0, 1]; 1 ends the run."""
        by_step = step / self.steps if self.steps else 0.0
        by_clock = seconds / self.seconds if self.seconds else 0.0
        return min(1.0, max(by_step, by_clock))
