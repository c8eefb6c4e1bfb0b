"""Learning rate, batch and context as pure functions of a run's progress; and the run's budget."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lilliput.base.errors import ConfigError
from lilliput.training.config import ScheduleConfig, TrainConfig


def factor(config: ScheduleConfig, step: int, progress: float) -> float:
    """The learning rate of step number `step` (from 0) as a multiple of its peak; `progress` in [0, 1] is how much
    of the budget was used before the step."""
    warmup = min(1.0, (step + 1) / config.warmup_steps) if config.warmup_steps else 1.0
    progress = min(max(progress, 0.0), 1.0)
    if config.decay_from == "warmup":
        # The share of the budget that was used when warm-up ended. It is exact only where steps are the budget, because
        # a clock varies.
        warmed = progress * min(1.0, config.warmup_steps / step) if step else progress
        progress = (progress - warmed) / (1 - warmed) if warmed < 1 else 1.0
    return warmup * _decay(config, progress)


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


def step_rows(config: TrainConfig, context_length: int, progress: float = 1.0) -> int:
    """Rows of `context_length` tokens in a step, when `progress` of the run is behind it; at its full size for 1."""
    tokens = _grown(config.growth.batch_tokens, config.batch_tokens, progress / config.growth.fraction)
    return max(1, tokens // context_length)


def mean_rows(config: TrainConfig, context_length: int) -> float:
    """The mean of `step_rows` over a run."""
    parts = _doublings(config.growth.batch_tokens, config.batch_tokens)
    if not parts:
        return step_rows(config, context_length)
    growing = sum(step_rows(config, context_length, config.growth.fraction * (n + 0.5) / parts) for n in range(parts))
    return config.growth.fraction * growing / parts + (1 - config.growth.fraction) * step_rows(config, context_length)


def row_length(config: TrainConfig, context_length: int, progress: float = 1.0) -> int:
    """Tokens of the pieces into which rows of `context_length` tokens are cut. Raises ConfigError where the first
    length is not the context length divided by a power of two."""
    first = config.growth.context
    if first is not None and first << _doublings(first, context_length) != context_length:
        raise ConfigError(
            f"train.growth.context={first} does not double to the context length of {context_length:,}",
            f"give the context length divided by 2, 4 or 8: train.growth.context={max(1, context_length // 4)}",
        )
    return _grown(first, context_length, progress / config.growth.fraction)


def _grown(first: int | None, full: int, share: float) -> int:
    """`first`, doubled at equal steps of `share`, the part of the growth that is over, until it is `full`."""
    doublings = _doublings(first, full)
    if first is None or share >= 1:
        return full
    return min(full, first << int(share * doublings))


def _doublings(first: int | None, full: int) -> int:
    """The number of doublings from `first` to `full`; 0 where nothing grows."""
    return 0 if first is None or first >= full else math.ceil(math.log2(full / first))


def step_bounds(config: TrainConfig, context_length: int, rows_per_epoch: int) -> dict[str, int]:
    """The steps after which each bound that is set (steps, tokens, epochs) would end the run."""
    rows = mean_rows(config, context_length)
    bounds = {}
    if config.steps is not None:
        bounds["steps"] = config.steps
    if config.tokens is not None:
        bounds["tokens"] = math.ceil(config.tokens / (rows * context_length))
    if config.epochs is not None:
        bounds["epochs"] = max(math.ceil(config.epochs * rows_per_epoch / rows), config.least_steps or 0)
    return bounds


def longer(config: TrainConfig, context_length: int, rows_per_epoch: int, *, steps: float, seconds: float) -> str:
    """The overrides for a run of so many steps and seconds: a higher value for every bound that would end the run
    sooner, such as 'train.epochs=8 train.seconds=180'. Empty where no bound would."""
    rows = mean_rows(config, context_length)
    needed = {"steps": steps, "tokens": steps * rows * context_length, "epochs": steps * rows / rows_per_epoch}
    short = [key for key, bound in step_bounds(config, context_length, rows_per_epoch).items() if bound < steps]
    words = [f"train.{key}={_rounded_up(needed[key], 1 if key == 'epochs' else 0)}" for key in short]
    if config.seconds is not None and config.seconds < seconds:
        words.append(f"train.seconds={_rounded_up(seconds, 0)}")
    return " ".join(words)


def _rounded_up(value: float, decimals: int) -> str:
    """Round up to three significant digits and at most `decimals` decimals."""
    places = min(2 - math.floor(math.log10(value)), decimals)
    scaled = math.ceil(value * 10.0**places - 1e-6)
    return str(scaled * 10**-places) if places <= 0 else f"{scaled / 10**places:g}"


@dataclass(frozen=True, slots=True)
class Budget:
    """When a run ends. `steps` is the tightest of steps, tokens and epochs; `seconds` is a clock beside it."""

    steps: int | None
    seconds: float | None

    @staticmethod
    def of(config: TrainConfig, context_length: int, rows_per_epoch: int) -> Budget:
        """The budget of a run on rows of `context_length` tokens. Where the batch grows, tokens and epochs are met
        to within a step of each size."""
        bounds = step_bounds(config, context_length, rows_per_epoch)
        return Budget(steps=min(bounds.values()) if bounds else None, seconds=config.seconds)

    def progress(self, step: int, seconds: float) -> float:
        """Share of the budget used, in [0, 1]; 1 ends the run."""
        by_step = step / self.steps if self.steps else 0.0
        by_clock = seconds / self.seconds if self.seconds else 0.0
        return min(1.0, max(by_step, by_clock))
