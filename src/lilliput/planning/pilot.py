"""The pilot of a forecast: a few seconds of real steps, then one evaluation, one set of samples and one ending."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from lilliput.assembly.assembly import Assembly
from lilliput.assembly.recipe import Recipe
from lilliput.base import machine
from lilliput.base.config import override, validate
from lilliput.base.machine import peak_memory
from lilliput.evaluation.benchmarks.measure import measure
from lilliput.evaluation.callbacks import Benchmarks
from lilliput.evaluation.ngram import baselines
from lilliput.objectives.figure import BITS
from lilliput.planning.forecast import Pilot
from lilliput.training.callbacks import Callback, Record

if TYPE_CHECKING:
    from lilliput.training.trainer import Trainer

PILOT_SECONDS = 3.0
WARM_UP_STEPS = 2
SCORED_TOKENS, HEROES, ITEMS = 8192, 20, 20
"""Most tokens of an evaluation that the pilot scores. The time of the whole evaluation is scaled up from it."""
COUNTED_TOKENS = (100_000, 400_000)
"""The n-gram models are counted on these two numbers of tokens; a straight line through both times gives the whole."""


def endless(recipe: Recipe, compiled: bool) -> Recipe:
    """Return the recipe without a bound, and without evaluations, samples and checkpoints between its steps."""
    never = 10**9
    changes = [
        *(f"train.{bound}=null" for bound in ("tokens", "epochs", "seconds")),
        *(f"train.growth.{what}=null" for what in ("batch_tokens", "context")),
        f"train.steps={never}",
        f"train.checkpoint_steps={never}",
        f"train.checkpoint_seconds={never}",
        "train.early_checkpoints=false",
        f"train.compile={'true' if compiled else 'false'}",
    ]
    return validate(Recipe, override(recipe.model_dump(mode="json"), changes), "the pilot")


class _Stopwatch(Callback):
    """Ends the run `seconds` after its warm-up, and notes the seconds of every later step and of the last checkpoint.
    Where steps are so slow that the warm-up alone would use up the time, only the first step is warm-up."""

    def __init__(self, seconds: float):
        self.seconds = seconds
        self.warm_up, self.steps = WARM_UP_STEPS, []
        self.began = self.ended = self.checkpoint = 0.0

    def on_step(self, trainer: Trainer, record: Record) -> None:
        self.ended = time.perf_counter()
        if self.warm_up:
            slow = record["step_seconds"] > self.seconds / 4
            self.warm_up, self.began = 0 if slow else self.warm_up - 1, self.ended
            return
        self.steps.append(record["step_seconds"])
        if self.ended - self.began >= self.seconds:
            trainer.stop("the pilot is over")

    def on_checkpoint(self, trainer: Trainer, folder: Path) -> None:
        self.checkpoint = time.perf_counter() - self.ended


def pilot(assembly: Assembly, seconds: float) -> Pilot:
    """Train for `seconds`, then time one evaluation, the samples, and the work at the end of a run."""
    began = time.perf_counter()
    trainer, watch = assembly.trainer(None), _Stopwatch(seconds)
    trainer.callbacks[:] = [watch]
    trainer.train()
    with trainer.autocast():
        score, final_score = _scores(assembly)
        samples, story, heroes, final_heroes = _generation(assembly)
        tasks = _tasks(assembly, trainer)
    return Pilot(
        steps=len(watch.steps),
        step_seconds=sum(watch.steps) / len(watch.steps),
        evaluation_seconds=score + heroes + tasks,
        first_evaluation_seconds=score + heroes,
        samples_seconds=samples,
        checkpoint_seconds=watch.checkpoint,
        ending_seconds=final_score + story + final_heroes + _baselines(assembly) + machine.MEASURE_SECONDS,
        peak_bytes=peak_memory(assembly.device),
        device=str(assembly.device),
        precision=trainer.settings.precision,
        threads=trainer.settings.threads,
        micro_batch_rows=trainer.settings.micro_batch_rows,
        compiled=trainer.settings.compile,
        seconds=time.perf_counter() - began,
    )


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _scores(assembly: Assembly) -> tuple[float, float]:
    """Return the seconds of an evaluation during the run and of the final evaluation, in proportion to their
    targets."""
    config = assembly.recipe.evaluate
    tried = min(config.tokens, SCORED_TOKENS)
    if assembly.objective.figure != BITS:
        return _timed(lambda: assembly.evaluate(config.tokens)), _timed(lambda: assembly.evaluate(config.final_tokens))
    targets = [assembly.fixed_set(tokens).targets for tokens in (tried, config.tokens, config.final_tokens)]
    each = _timed(lambda: assembly.score(tried)) / max(targets[0], 1)
    return each * targets[1], each * targets[2]


def _generation(assembly: Assembly) -> tuple[float, float, float, float]:
    """Return the seconds of the samples, of the story at the end, and of the heroes' stories at an evaluation and at
    the end."""
    config = assembly.recipe.evaluate
    if not assembly.objective.generates:
        return 0.0, 0.0, 0.0, 0.0
    _ = assembly.generator.decoder  # built once a run
    samples = _timed(lambda: assembly.samples(assembly.prompts)) if config.samples != 0 else 0.0
    story = _timed(lambda: assembly.samples(assembly.prompts[:1]))
    most = max(config.heroes, config.final_heroes) if assembly.knows_stories else 0
    if not most:
        return samples, story, 0.0, 0.0
    tried = min(most, HEROES)
    each = _timed(lambda: assembly.heroes_kept(tried)) / tried
    return samples, story, each * config.heroes, each * config.final_heroes


def _tasks(assembly: Assembly, trainer: Trainer) -> float:
    """Seconds of the benchmarks that an evaluation scores."""
    benchmarks = Benchmarks(assembly.recipe.evaluate, assembly.generator)
    benchmarks.on_start(trainer)
    seconds = 0.0
    for name, (task, items) in benchmarks.loaded.items():
        tried = items[:ITEMS]
        taken = _timed(lambda: measure(name, task, tried, assembly.generator))  # noqa: B023
        seconds += taken * len(items) / max(len(tried), 1)
    return seconds


def _baselines(assembly: Assembly) -> float:
    """Return the seconds of counting the n-gram models."""
    config = assembly.recipe.evaluate
    if not config.baselines or assembly.objective.figure != BITS:
        return 0.0
    train, validation = assembly.train_split, assembly.fixed_set(config.final_tokens)

    def counted(tokens: int) -> float:
        vocabulary = assembly.tokenizer.vocab_size
        return _timed(lambda: baselines(train, validation, vocabulary, config.baselines, max_tokens=tokens))

    few, many = COUNTED_TOKENS
    if train.tokens <= many:
        return counted(many)
    counted(few)  # warm-up: the first count also pays for imports and first memory
    less, more = counted(few), counted(many)
    return more + max(0.0, more - less) * (min(train.tokens, 20_000_000) - many) / (many - few)
