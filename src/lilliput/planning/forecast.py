"""forecast: a run's tokens, FLOPs, memory, time, cost and doubts, from a pilot of a few seconds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from lilliput.base.console import duration, number, size
from lilliput.base.energy import Cost, estimate
from lilliput.evaluation.config import EvaluateConfig
from lilliput.model.config import ModelConfig, resolve
from lilliput.model.counts import flops_per_token, memory, parameters
from lilliput.planning.chinchilla import FLOPS_PER_PARAMETER, TOKENS_PER_PARAMETER, Optimum, methods
from lilliput.runs.names import TOKENS_PER_SECOND, TRAINING_SECONDS
from lilliput.training.config import TrainConfig
from lilliput.training.schedule import Budget, mean_rows, step_rows

MANY_EPOCHS = 4.0
"""Up to this many epochs, repeated text teaches nearly as much as new text (Muennighoff et al. 2023,
arXiv:2305.16264)."""
FAR_OFF = 2.0
"""A model this many times too large for its tokens gets a doubt. Nearer to the best size the loss is nearly flat."""
SMALLEST, FEWEST_STEPS = "story_1m", 100
"""The smallest size that `init` and the dial choose, and the least number of steps for which they choose a size."""
TINY_PARAMETERS = 1e9
TINY_SECONDS = 3 * 86400.0


@dataclass(frozen=True, slots=True)
class Pilot:
    """Measurements of a few real steps on this machine.

    The seconds are means of one step, of one evaluation during the run, of one generation of the samples, of one
    checkpoint, and of all work after the last step. An evaluation includes the stories about heroes and the benchmarks,
    which the first evaluation lacks. `seconds` is the duration of the pilot itself. On a CPU `peak_bytes` is the memory
    of the whole process."""

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
    first_evaluation_seconds: float = 0.0
    ending_seconds: float = 0.0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Forecast:
    """The forecast of a whole run.

    `seconds` is the `seconds` of summary.json: training with its evaluations, samples and checkpoints. `ending_seconds`
    come after it: the final scores, the n-gram models, the last stories. Preparing the data is in neither number.
    `bound` is the bound that ends the run, such as 'train.steps=2,000', and `others` are the bounds reached later."""

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
    ending_seconds: float
    bound: str
    others: tuple[str, ...]
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
    tokens_per_parameter: float = TOKENS_PER_PARAMETER,
) -> Forecast:
    """Forecast the run that `train` describes, at the pilot's speed. An epoch of the data is `rows_per_epoch` rows of
    the context length. `memory_bytes` is the machine's memory (None: unknown). `tokens_per_parameter` is the rule of
    thumb for this data."""
    context = model.context_length
    rows, mean = step_rows(train, context), mean_rows(train, context)
    pilot = replace(pilot, step_seconds=pilot.step_seconds * mean / rows)
    step_tokens = round(mean * context)
    budget = Budget.of(train, context, rows_per_epoch)
    steps, seconds = _length(budget, train, evaluation, pilot)
    bound, *others = _bounds(train, context, rows_per_epoch, steps)
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
        ending_seconds=pilot.ending_seconds,
        bound=bound,
        others=tuple(others),
        tokens_per_second=step_tokens / pilot.step_seconds,
        cost=cost,
        pilot=pilot,
        methods=methods(flops),
        warnings=(),
    )
    least = resolve(SMALLEST, vocab_size=model.vocab_size)
    size, smallest = (flops_per_token(one).training / FLOPS_PER_PARAMETER for one in (model, least))
    doubts = [*_doubts_of_size(found, size, smallest, tokens_per_parameter), *_doubts(found, memory_bytes)]
    return replace(found, warnings=tuple(doubts))


def _bounds(train: TrainConfig, context: int, rows_per_epoch: int, steps: int) -> list[str]:
    """List the bounds of the run's length in the recipe, first the bound that ends the run after `steps` steps."""
    named = {"steps": train.steps, "tokens": train.tokens, "epochs": train.epochs}
    lengths: dict[str, float] = {}
    for name, value in ((name, value) for name, value in named.items() if value is not None):
        alone = train.model_copy(update={**dict.fromkeys(named), "seconds": None, name: value})
        known = Budget.of(alone, context, rows_per_epoch).steps
        assert known is not None
        # A text whose epochs end before the least number of steps is read again until that number is reached.
        least = name == "epochs" and known == train.least_steps
        lengths[f"train.least_steps={known:,}" if least else f"train.{name}={value:,}"] = known
    ordered = sorted(lengths, key=lengths.__getitem__)
    if train.seconds is not None:
        clock = f"train.seconds={train.seconds:,g}"
        ordered.insert(0 if not ordered or steps < lengths[ordered[0]] else len(ordered), clock)
    return ordered


def _length(budget: Budget, train: TrainConfig, evaluation: EvaluateConfig, pilot: Pilot) -> tuple[int, float]:
    """Return the steps of the run, and its seconds with all evaluations, samples and checkpoints."""
    if budget.steps is not None:
        seconds = budget.steps * pilot.step_seconds + _between(budget.steps, train, evaluation, pilot)
        if budget.seconds is None or seconds <= budget.seconds:
            return budget.steps, seconds
    assert budget.seconds is not None  # a recipe without any budget is refused
    # In a run that only the clock bounds, evaluations and checkpoints without an interval of their own come ten times.
    steps = max(1, int(budget.seconds / pilot.step_seconds))
    for _ in range(20):
        left = budget.seconds - _between(steps, train, evaluation, pilot)
        steps = max(1, int(left / pilot.step_seconds))
    return steps, budget.seconds


def _between(steps: int, train: TrainConfig, evaluation: EvaluateConfig, pilot: Pilot) -> float:
    """Return the seconds of evaluations, samples and checkpoints. Evaluation and samples also come before the first
    step."""
    between_samples = evaluation.steps if evaluation.samples is None else evaluation.samples
    saved = max(_times(steps, train.checkpoint_steps), int(steps * pilot.step_seconds / train.checkpoint_seconds))
    early = min(10, 1 + int(math.log2(max(steps, 1)))) if train.early_checkpoints else 0
    return (
        (pilot.first_evaluation_seconds or pilot.evaluation_seconds)
        + pilot.evaluation_seconds * _times(steps, evaluation.steps)
        + (pilot.samples_seconds * (1 + _times(steps, between_samples)) if evaluation.samples != 0 else 0.0)
        + pilot.checkpoint_seconds * (saved + early)
    )


def _times(steps: int, every: int | None) -> int:
    """Count the times that something happens every `every` steps (None: ten times a run) and at the end."""
    every = every or math.ceil(steps / 10)
    return math.ceil(steps / every)


def _doubts_of_size(found: Forecast, size: float, smallest: float, rule: float) -> list[str]:
    """Return a doubt where the model is far too large for its tokens.

    `size` and `smallest` are training FLOPs a token / 6, of this model and of the smallest model that is ever chosen.
    `rule` is the right number of tokens a parameter for the data. A model that `init` or the dial chose by the same
    rule gets no doubt."""
    ratio = found.tokens / size
    # A text already read for MANY_EPOCHS cannot give a better size more tokens.
    spent = found.epochs >= 0.7 * MANY_EPOCHS and found.tokens >= 0.7 * size
    least = size <= 1.001 * smallest and found.steps >= FEWEST_STEPS
    if ratio * FAR_OFF >= rule or spent or least:
        return []
    better = math.sqrt(found.flops / FLOPS_PER_PARAMETER / rule)
    return [
        f"{ratio:.2g} tokens a parameter, under {rule:g}: by the rule of thumb for this text a model of "
        f"{number(better)} parameters would use these FLOPs better, or this one more steps"
    ]


def _doubts(found: Forecast, memory_bytes: int | None) -> list[str]:
    """Return a sentence for every other unusual number of this run."""
    doubts = []
    if found.epochs > 1.02 * MANY_EPOCHS:
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
            f"about {size(needed)} of memory, and the machine has {size(memory_bytes)}: lower "
            "train.micro_batch_tokens, or set train.activation_checkpointing=true"
        )
    return doubts


def check(found: Forecast, summary: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Compare the forecast with the finished run's summary.json. `error` is predicted / actual - 1."""
    pairs = {
        "seconds": found.seconds,
        TRAINING_SECONDS: found.training_seconds,
        TOKENS_PER_SECOND: found.tokens_per_second,
        "tokens": found.tokens,
        "flops": found.flops,
        "kwh": found.cost.kwh,
    }
    return {
        name: {"predicted": value, "actual": summary[name], "error": value / summary[name] - 1}
        for name, value in pairs.items()
        if summary.get(name)
    }
