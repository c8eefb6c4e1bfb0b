"""Task: the contract of a benchmark, the registry of tasks, and the marking of answers by likelihood."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

from lilliput.base.errors import DataError
from lilliput.base.registry import Registry
from lilliput.base.statistics import share

if TYPE_CHECKING:
    from pathlib import Path

    from lilliput.base.endpoint import Judge
    from lilliput.evaluation.scorer import Pair, PairScore

Record = dict[str, Any]


class Generate(Protocol):
    """Generates the model's answers. `cut` counts the prompts so far that were too long and lost their beginning."""

    cut: int

    def __call__(self, prompts: Sequence[str], stops: Sequence[str], max_tokens: int) -> list[str]:
        """Return the completion of each prompt, up to a stop string."""
        ...


class Place(NamedTuple):
    """The place of a data set on the Hugging Face hub."""

    name: str
    config: str | None
    split: str


class Task:
    """A benchmark. Subclass `Likelihood` or `Generation` in a file of this folder and register the class:

        @TASKS.add("piqa")
        class Piqa(Likelihood): ...

    files    names of local files, as globs below the given folder; the first glob that matches counts. Empty for a
             task that makes its records (`made`)
    hub      its place on the Hugging Face hub, with records of the same fields
    fields   fields that every record has
    metrics  names of the metrics; the first is shown where there is room for only one
    graded   metrics whose marks are degrees; by every other metric an item is right or wrong
    """

    files: ClassVar[tuple[str, ...]]
    hub: ClassVar[Place | None] = None
    fields: ClassVar[tuple[str, ...]]
    metrics: ClassVar[tuple[str, ...]]
    graded: ClassVar[tuple[str, ...]] = ()

    def made(self) -> Iterator[Record] | None:
        """Return the raw records of a task that makes them itself, always the same; None for a task that reads them
        from files or from the hub."""
        return None

    def record(self, raw: Mapping[str, Any], file: Path | None) -> Record:
        """Return a raw record with the hub's fields. Raises KeyError, IndexError or ValueError for a record with other
        fields."""
        return dict(raw)

    def records(self, raw: Mapping[str, Any], file: Path | None) -> list[Record]:
        """Return the records in a raw record. A text with several questions gives several records."""
        return [self.record(raw, file)]

    def text(self, record: Record) -> str:
        """Return the record as one text, the question and its answers, to look for in training texts."""
        raise NotImplementedError

    def harness_task(self, record: Record) -> str | None:
        """Return the task of lm-evaluation-harness with this record and the same marking, as FOLDER/NAME, or None."""
        return None

    def group(self, record: Record) -> str:
        """Return the record's part of the benchmark (a subject, a paradigm); '' where the benchmark has no parts."""
        return ""


@dataclass(frozen=True, slots=True)
class Item:
    """A question by likelihood: the answers to choose from as (context, continuation) pairs, the places of the right
    answers, and each answer's length in characters, by which `acc_norm` divides."""

    pairs: tuple[Pair, ...]
    right: tuple[int, ...]
    lengths: tuple[int, ...]


class Likelihood(Task):
    """A task whose answer is the likeliest of the choices.

    acc       the choice with the highest log-probability is right; ties share the point
    acc_norm  the same with log-probabilities divided by the choices' lengths in characters
    greedy    every token of the (only) choice is the likeliest token, so that the model generates the choice itself
    mass      the probability of the right choices, as a share of all choices (TruthfulQA's MC2)

    `harness` is the same task in lm-evaluation-harness, as FOLDER/NAME below its `tasks`; None where it has no such
    task."""

    metrics = ("acc",)
    harness: ClassVar[str | None] = None

    def item(self, record: Record) -> Item:
        """Return the question in a record."""
        raise NotImplementedError

    def text(self, record: Record) -> str:
        item = self.item(record)
        return " ".join(dict.fromkeys(part for pair in item.pairs for part in pair))

    def harness_task(self, record: Record) -> str | None:
        return self.harness


def choices(context: str, texts: Sequence[str], right: int | Sequence[int], gap: str = " ") -> Item:
    """Return an item whose answers follow the same context, separated from it by `gap`."""
    gold = (right,) if isinstance(right, int) else tuple(right)
    if not texts or not all(0 <= place < len(texts) for place in gold):
        raise DataError(f"the right answer is number {gold} of {len(texts)}")
    return Item(tuple((context, gap + text) for text in texts), gold, tuple(map(len, texts)))


def mark(metric: str, item: Item, scores: Sequence[PairScore]) -> float:
    """Return the score of an item, between 0 and 1; NaN where a log-probability is NaN."""
    values = [score.log_probability for score in scores]
    if metric == "acc":
        return share(values, item.right)
    if metric == "acc_norm":
        return share([value / length for value, length in zip(values, item.lengths, strict=True)], item.right)
    if metric == "greedy":
        return float(scores[item.right[0]].greedy)
    top = max(values)
    weights = [math.exp(value - top) for value in values]
    return sum(weights[place] for place in item.right) / sum(weights)


def chance(metric: str, item: Item, scores: Sequence[PairScore], vocab_size: int) -> float:
    """Return the expected score of guessing on an item: a random choice, or for `greedy` a random id for every token.
    Example: four choices with one right answer have a chance of 1/4."""
    if metric == "greedy":
        return float(vocab_size) ** -scores[item.right[0]].tokens
    return len(item.right) / len(item.pairs)


@dataclass(frozen=True, slots=True)
class Tools:
    """Tools of some tasks to mark an answer: a judge (MT-Bench), and permission to run code outside a sandbox
    (HumanEval)."""

    judge: Judge | None = None
    allow_code: bool = False


class Generation(Task):
    """A task whose answer the model generates.

    stops       strings that end an answer
    max_tokens  most tokens of an answer
    guessing    expected score of random answers
    best        the highest score
    """

    stops: ClassVar[tuple[str, ...]] = ()
    max_tokens: ClassVar[int] = 256
    best: ClassVar[float] = 1.0
    guessing: ClassVar[float] = 0.0

    def prompt(self, record: Record) -> str:
        """Return the prompt of a record."""
        raise NotImplementedError

    def text(self, record: Record) -> str:
        return self.prompt(record)

    def check(self, tools: Tools) -> None:
        """Raise an error where answers could not be marked. This is called before the model generates them."""

    def answers(self, records: Sequence[Record], generate: Generate) -> list[Any]:
        """Generate the model's answer to each record."""
        return list(generate([self.prompt(record) for record in records], self.stops, self.max_tokens))

    def chances(self, records: Sequence[Record], metric: str, tools: Tools) -> list[float]:
        """Return the expected score of guessing on each item."""
        return [self.guessing] * len(records)

    def marks(self, record: Record, answer: Any, tools: Tools) -> dict[str, float]:
        """Return an answer's score by metric, between 0 and `best`."""
        raise NotImplementedError


TASKS: Registry[type[Task]] = Registry("task", "lilliput.evaluation.benchmarks")
