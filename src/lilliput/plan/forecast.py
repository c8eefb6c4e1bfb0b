"""Forecast: what a run will take, from a pilot of a few seconds: tokens, FLOPs, memory, time, cost, doubts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from lilliput.base.console import duration, number, size
from lilliput.evaluate.config import EvaluateConfig
from lilliput.model.config import ModelConfig
from lilliput.model.counts import flops_per_token, memory, parameters
from lilliput.plan.chinchilla import TOKENS_PER_PARAMETER, Optimum, methods
from lilliput.plan.cost import Cost, estimate
from lilliput.train.config import TrainConfig
from lilliput.train.schedule import Budget, mean_rows, step_rows

MANY_EPOCHS = 4.0
"""Up to here repeated text teaches nearly as much as new text (Muennighoff et al. 2023, arXiv:2305.16264)."""
TINY_PARAMETERS = 1e9
TINY_SECONDS = 3 * 86400.0


@dataclass(frozen=True, slots=True)
class Pilot:
    """What a few real steps on this machine measured. Seconds are means of one step, of one evaluation and one telling
    of the samples as during the run, and of one checkpoint; `peak_bytes` is of the whole process on a CPU."""

    steps: int
    step_seconds: float
    evaluation_seconds: float
    samples_seconds: float
    checkpoint_seconds: float
    peak_bytes: int | None
    device: str
    precision: str
    threads: int
    micro_batch_rows: int
    compiled: bool


@dataclass(frozen=True, slots=True)
class Forecast:
    """The whole run. `seconds` is what summary.json will call seconds: training with its evaluations, samples and
    checkpoints, but not preparing data before it or the final scores after it."""

    parameters: int
    parameters_non_embedding: int
    steps: int
    batch_tokens: int
    tokens: int
    epochs: float
    tokens_per_parameter: float
    flops: float
    memory: dict[str, int]
    training_seconds: float
    seconds: float
    tokens_per_second: float
    cost: Cost
    pilot: Pilot
    methods: dict[str, Optimum]
    warnings: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        named = {name: optimum.as_dict() for name, optimum in self.methods.items()}
        return {**asdict(self), "memory": {**self.memory, "total": sum(self.memory.values())}, "methods": named}


def forecast(
    model: ModelConfig,
    train: TrainConfig,
    evaluation: EvaluateConfig,
    pilot: Pilot,
    *,
    rows_per_epoch: int,
    cores: int,
    memory_bytes: int | None,
) -> Forecast:
    """The run that `train` describes, at the pilot's speed. `rows_per_epoch` rows of the context length are in the
    data; `memory_bytes` is what the machine has (None: unknown)."""
    context = model.context_length
    rows, mean = step_rows(train, context), mean_rows(train, context)
    pilot = replace(pilot, step_seconds=pilot.step_seconds * mean / rows)
    step_tokens = round(mean * context)
    steps, seconds = _length(Budget.of(train, context, rows_per_epoch), train, evaluation, pilot)
    tokens = steps * step_tokens
    width = 2 if pilot.precision == "bf16" else 4
    counts = parameters(model)
    flops = flops_per_token(model, context).training * tokens
    needs = memory(model, min(rows, pilot.micro_batch_rows), context, train.optimizer.kind, width).training
    cost = estimate(
        seconds,
        pilot.device,
        min(cores, pilot.threads),
        watts=train.watts,
        dollars_per_hour=train.dollars_per_hour,
        grams_co2_per_kwh=train.grams_co2_per_kwh,
    )
    found = Forecast(
        parameters=counts.total,
        parameters_non_embedding=counts.non_embedding,
        steps=steps,
        batch_tokens=step_tokens,
        tokens=tokens,
        epochs=steps * mean / rows_per_epoch,
        tokens_per_parameter=tokens / counts.total,
        flops=flops,
        memory=needs,
        training_seconds=steps * pilot.step_seconds,
        seconds=seconds,
        tokens_per_second=step_tokens / pilot.step_seconds,
        cost=cost,
        pilot=pilot,
        methods=methods(flops),
        warnings=(),
    )
    return replace(found, warnings=tuple(_doubts(found, memory_bytes)))


def _length(budget: Budget, train: TrainConfig, evaluation: EvaluateConfig, pilot: Pilot) -> tuple[int, float]:
    """Steps, and the seconds of these with all that happens between them."""
    if budget.steps is not None:
        seconds = budget.steps * pilot.step_seconds + _between(budget.steps, train, evaluation, pilot)
        if budget.seconds is None or seconds <= budget.seconds:
            return budget.steps, seconds
    assert budget.seconds is not None  # a recipe without any budget is refused
    # With a clock alone, evaluations and checkpoints that have no number of their own come ten times a run.
    steps = max(1, int(budget.seconds / pilot.step_seconds))
    for _ in range(20):
        left = budget.seconds - _between(steps, train, evaluation, pilot)
        steps = max(1, int(left / pilot.step_seconds))
    return steps, budget.seconds


def _between(steps: int, train: TrainConfig, evaluation: EvaluateConfig, pilot: Pilot) -> float:
    """Seconds of evaluations (one more before the first step), samples and checkpoints."""
    told = evaluation.steps if evaluation.samples is None else evaluation.samples
    return (
        pilot.evaluation_seconds * (1 + _times(steps, evaluation.steps))
        + (pilot.samples_seconds * _times(steps, told) if evaluation.samples != 0 else 0.0)
        + pilot.checkpoint_seconds * _times(steps, train.checkpoint_steps)
    )


def _times(steps: int, every: int | None) -> int:
    """How often something happens that is due every `every` steps (None: ten times a run) and at the end."""
    every = every or math.ceil(steps / 10)
    return math.ceil(steps / every)


def _doubts(found: Forecast, memory_bytes: int | None) -> list[str]:
    """Sentences about what is unusual in this run."""
    doubts = []
    if found.tokens_per_parameter < TOKENS_PER_PARAMETER:
        doubts.append(
            f"{found.tokens_per_parameter:.2g} tokens a parameter, under {TOKENS_PER_PARAMETER:g}: by the rule of "
            f"thumb a model of {number(found.methods['20 tokens a parameter'].parameters)} parameters would use these "
            "FLOPs better (the rule was measured on far larger models)"
        )
    if found.epochs > MANY_EPOCHS:
        doubts.append(
            f"{found.epochs:.3g} epochs, over {MANY_EPOCHS:g}: text repeated more often teaches less each time; "
            "more text or fewer steps"
        )
    if found.parameters >= TINY_PARAMETERS:
        doubts.append(f"{number(found.parameters)} parameters: not tiny any more (under 1B)")
    if found.seconds > TINY_SECONDS:
        doubts.append(f"{duration(found.seconds)} on this machine: not tiny any more (one machine, a few days)")
    needed = sum(found.memory.values())
    if memory_bytes is not None and needed > memory_bytes:
        doubts.append(
            f"about {size(needed)} of memory, and here there are {size(memory_bytes)}: lower train.micro_batch_tokens, "
            "or set train.activation_checkpointing=true"
        )
    return doubts


def check(found: Forecast, summary: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """The forecast beside what the finished run's summary.json says; `error` is predicted / actual - 1."""
    pairs = {
        "seconds": found.seconds,
        "training_seconds": found.training_seconds,
        "tokens_per_second": found.tokens_per_second,
        "tokens": found.tokens,
        "flops": found.flops,
        "kwh": found.cost.kwh,
    }
    return {
        name: {"predicted": value, "actual": summary[name], "error": value / summary[name] - 1}
        for name, value in pairs.items()
        if summary.get(name)
    }
