"""A model's scores on a task: a row a metric, with chance, standard error and the parts of the benchmark."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from lilliput.base.statistics import Estimate, estimate
from lilliput.evaluation.benchmarks.task import Generation, Likelihood, Record, Task, Tools, chance, mark
from lilliput.evaluation.masked_scorer import score_masked
from lilliput.evaluation.scorer import score_pairs

if TYPE_CHECKING:
    from lilliput.generation.text_generator import TextGenerator


@dataclass(frozen=True, slots=True)
class Row:
    """A metric of a task: the estimate over all items, and over each part of the benchmark where it has parts. `cut`
    counts the items, or the prompts of generated answers, that were longer than the model's context and lost their
    beginning."""

    task: str
    metric: str
    total: Estimate
    parts: dict[str, Estimate]
    cut: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, as in JSON."""
        return {
            "task": self.task,
            "metric": self.metric,
            **describe(self.total),
            "cut": self.cut,
            "parts": {name: describe(part) for name, part in self.parts.items()},
        }


class Writer:
    """Writes a model's answers to prompts; `cut` counts the prompts so far that lost their beginning (see
    `TextGenerator.answer`)."""

    def __init__(self, generator: TextGenerator):
        self._generator = generator
        self.cut = 0

    def __call__(self, prompts: Sequence[str], stops: Sequence[str], max_tokens: int) -> list[str]:
        answers, cut = self._generator.answer(prompts, stops, max_tokens)
        self.cut += cut
        return answers


def describe(found: Estimate) -> dict[str, Any]:
    """Return an estimate as plain values."""
    return {
        "score": found.score,
        "stderr": found.stderr,
        "chance": found.chance,
        "items": found.items,
        "verdict": found.verdict,
    }


def measure(
    name: str,
    task: Task,
    records: Sequence[Record],
    generator: TextGenerator,
    tools: Tools | None = None,
    done: Callable[[int], None] = lambda items: None,
    both_sides: bool = False,
) -> list[Row]:
    """Rows of a task, one a metric. `done(n)` is called when n more items are finished. `both_sides`: choices are
    scored by the hidden tokens that a model of objective.kind=hybrid predicts. Raises LilliputError where
    records cannot be used, where the model's numbers are not finite, and where answers cannot be marked."""
    if isinstance(task, Likelihood):
        return _by_likelihood(name, task, records, generator, done, both_sides)
    assert isinstance(task, Generation)
    tools = tools or Tools()
    task.check(tools)
    writer = Writer(generator)
    answers = task.answers(records, writer)
    marks = []
    for record, answer in zip(records, answers, strict=True):
        marks.append(task.marks(record, answer, tools))
        done(1)
    groups = [task.group(record) for record in records]
    rows = []
    for metric in task.metrics:
        guesses = task.chances(records, metric, tools)
        scores = [found[metric] for found in marks]
        rows.append(_row(name, metric, metric in task.graded, scores, guesses, groups, writer.cut))
    return rows


def _by_likelihood(
    name: str,
    task: Likelihood,
    records: Sequence[Record],
    generator: TextGenerator,
    done: Callable[[int], None],
    both_sides: bool,
) -> list[Row]:
    items = [task.item(record) for record in records]
    scorer = partial(score_masked, ahead=True) if both_sides else score_pairs
    scores = scorer(generator.model, generator.tokenizer, [item.pairs for item in items], done=done)
    groups = [task.group(record) for record in records]
    cut = sum(any(score.cut for score in found) for found in scores)
    rows = []
    for metric in task.metrics:
        marks = [mark(metric, item, found) for item, found in zip(items, scores, strict=True)]
        size = generator.model.config.vocab_size
        guesses = [chance(metric, item, found, size) for item, found in zip(items, scores, strict=True)]
        rows.append(_row(name, metric, metric in task.graded, marks, guesses, groups, cut))
    return rows


def _row(
    name: str,
    metric: str,
    graded: bool,
    marks: Sequence[float],
    guesses: Sequence[float],
    groups: Sequence[str],
    cut: int,
) -> Row:
    parts = {}
    for group in sorted(set(groups)):
        places = [i for i, other in enumerate(groups) if other == group]
        parts[group] = estimate([marks[i] for i in places], [guesses[i] for i in places], graded)
    return Row(name, metric, estimate(marks, guesses, graded), parts if len(parts) > 1 else {}, cut)
