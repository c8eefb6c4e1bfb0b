"""Callbacks that measure and report during a run: validation loss, benchmarks, samples through time, early stopping."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lilliput.base.disk import append_text
from lilliput.base.errors import ConfigError
from lilliput.evaluation.benchmarks.loading import records
from lilliput.evaluation.benchmarks.measure import measure
from lilliput.evaluation.benchmarks.task import TASKS, Task
from lilliput.evaluation.config import EvaluateConfig
from lilliput.evaluation.verdict import Ending, Point, verdict
from lilliput.objectives.figure import BITS, Figure
from lilliput.runs.names import VAL_HERO_KEPT
from lilliput.runs.samples_file import Sample, Section, format_samples
from lilliput.training.callbacks import Callback, Record, memory_of

if TYPE_CHECKING:
    from lilliput.generation.text_generator import TextGenerator
    from lilliput.training.trainer import Trainer


class Evaluation(Callback):
    """Evaluates a fixed set at the start, every `evaluate.steps` and at the end, and stops a run that no longer
    improves. `measure()` returns the objective's figures for the present model, by their names in metrics.jsonl.
    `figure` is the figure by which the run is judged."""

    def __init__(self, config: EvaluateConfig, measure: Callable[[], Mapping[str, float]], figure: Figure = BITS):
        self.config, self.measure, self.figure = config, measure, figure
        self.points: list[Point] = []
        self.best: float | None = None
        self.waited = 0
        self.trained, self.steps = 0.0, 0

    def on_start(self, trainer: Trainer) -> None:
        if trainer.step == 0:
            record: Record = {"step": 0, "tokens": 0, "seconds": round(trainer.seconds, 3)}
            self._evaluate(trainer, record)
            trainer.run.append_metrics(record | memory_of(trainer))

    def on_step(self, trainer: Trainer, record: Record) -> None:
        self.trained, self.steps = self.trained + record[self.figure.training], self.steps + 1
        if trainer.due(self.config.steps) or trainer.finished:
            self._evaluate(trainer, record)

    def _evaluate(self, trainer: Trainer, record: Record) -> None:
        with trainer.autocast():
            found = self.measure()
        record.update(found)
        score = found[self.figure.validation]
        train = self.trained / self.steps if self.steps else None
        self.points.append(Point(record["step"], score, train))
        self.trained, self.steps = 0.0, 0
        improved = self.best is None or score < self.best - self.config.min_improvement
        self.best = score if improved else self.best
        self.waited = 0 if improved else self.waited + 1
        if self.config.patience and self.waited >= self.config.patience:
            trainer.stop(f"early stopping: no improvement in {self.waited} evaluations ({self.verdict(trainer)})")

    def verdict(
        self, trainer: Trainer, baselines: Mapping[str, float] | None = None, final: float | None = None
    ) -> str:
        """Return the verdict on the evaluations so far, or on the final one beside n-gram models on the same tokens."""
        ending = Ending(trainer.longer, trainer.rate, trainer.final_rate)
        return verdict(self.points, baselines, final, ending, self.figure.unit)

    def state(self) -> dict[str, Any]:
        points = [[p.step, p.validation, p.train] for p in self.points]
        training = [self.trained, self.steps]
        return {"points": points, "best": self.best, "waited": self.waited, "training": training}

    def load_state(self, state: dict[str, Any]) -> None:
        if state:
            self.points = [Point(*values) for values in state["points"]]
            self.best, self.waited = state["best"], state["waited"]
            self.trained, self.steps = state.get("training", (0.0, 0))  # older checkpoints do not hold it


class Benchmarks(Callback):
    """Scores benchmarks by likelihood at every evaluation. The record gets each score, such as `blimp_acc`, and beside
    it the score of guessing (`blimp_acc_chance`). The items of the benchmarks are read when the run starts, so that a
    missing file ends the run at its start. EvaluateConfig refuses tasks with generated answers. Raises ConfigError for
    a model that reads backwards, that answers a source, or that generates no text."""

    def __init__(self, config: EvaluateConfig, generator: TextGenerator):
        self.config, self.generator = config, generator
        self.loaded: dict[str, tuple[Task, list[Record]]] = {}

    def on_start(self, trainer: Trainer) -> None:
        if self.config.tasks and not trainer.objective.config.generates:
            raise trainer.objective.config.no_text()
        if self.config.tasks and trainer.objective.config.reads_source:
            raise ConfigError(
                "this model answers a source, and benchmarks score what continues a text", "leave out evaluate.tasks"
            )
        if self.config.tasks and not trainer.objective.config.reads_forwards:
            raise ConfigError("this model reads backwards, and benchmarks go on from their questions")
        for name in self.config.tasks:
            self.loaded[name] = (TASKS[name](), records(name, self.config.task_data, self.config.task_items))

    def on_step(self, trainer: Trainer, record: Record) -> None:
        if not (trainer.due(self.config.steps) or trainer.finished):
            return
        for name, (task, items) in self.loaded.items():
            with trainer.autocast():
                rows = measure(name, task, items, self.generator)
            for row in rows:
                record[f"{name}_{row.metric}"] = row.total.score
                record[f"{name}_{row.metric}_chance"] = row.total.chance


class HeroesKept(Callback):
    """Generates stories about named children at every evaluation, first with the untrained weights. `val_hero_kept` is
    the share of stories that keep their hero. `share(count)` measures the present model."""

    def __init__(self, config: EvaluateConfig, share: Callable[[int], float]):
        self.config, self.share = config, share

    def on_start(self, trainer: Trainer) -> None:
        if trainer.step == 0 and self.config.heroes:
            record: Record = {"step": 0, "tokens": 0, "seconds": round(trainer.seconds, 3)}
            self._measure(trainer, record)
            trainer.run.append_metrics(record)

    def on_step(self, trainer: Trainer, record: Record) -> None:
        if self.config.heroes and (trainer.due(self.config.steps) or trainer.finished):
            self._measure(trainer, record)

    def _measure(self, trainer: Trainer, record: Record) -> None:
        with trainer.autocast():
            record[VAL_HERO_KEPT] = self.share(self.config.heroes)


class SamplesThroughTime(Callback):
    """Generates from the same prompts through time into samples.md, first with the untrained weights.
    `generate(prompts)` returns one text for each prompt by the present model. `show` receives the first text, for the
    terminal."""

    phase = "show"

    def __init__(
        self,
        config: EvaluateConfig,
        prompts: Sequence[str],
        generate: Callable[[Sequence[str]], list[Sample]],
        show: Callable[[Sample], None],
    ):
        self.config, self.prompts, self.generate, self.show = config, list(prompts), generate, show

    def on_start(self, trainer: Trainer) -> None:
        if trainer.step == 0 and self.config.samples != 0:
            self._write(trainer)

    def on_step(self, trainer: Trainer, record: Record) -> None:
        every = self.config.steps if self.config.samples is None else self.config.samples
        if self.config.samples != 0 and (trainer.due(every) or trainer.finished):
            self._write(trainer)

    def _write(self, trainer: Trainer) -> None:
        with trainer.autocast():
            samples = self.generate(self.prompts)
        section = Section(trainer.step, trainer.counters.tokens, trainer.seconds, samples)
        append_text(trainer.run.samples, format_samples(section))
        self.show(samples[0])
