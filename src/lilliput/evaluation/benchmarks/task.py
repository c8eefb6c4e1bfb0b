"""Task: the contract of a benchmark, the registry that finds them, and how answers by likelihood are marked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

from lilliput.base.errors import DataError
from lilliput.base.registry import Registry
from lilliput.base.statistics import share

if TYPE_CHECKING:
    from pathlib import Path

    from lilliput.evaluation.judge.endpoint import Judge
    from lilliput.evaluation.scorer import Pair, PairScore

Record = dict[str, Any]


class Tell(Protocol):
    """Writes the model's answers. `cut` counts the prompts so far that were too long and lost their beginning."""

    cut: int

    def __call__(self, prompts: Sequence[str], stops: Sequence[str], max_tokens: int) -> list[str]:
        """What the model says after each prompt, up to a stop string."""
        ...


class Place(NamedTuple):
    """Where a data set lies on the Hugging Face hub."""

    name: str
    config: str | None
    split: str


class Task:
    """One benchmark. Subclass `Likelihood` or `Generation` in a file of this folder and register it:

        @TASKS.add("piqa")
        class Piqa(Likelihood): ...

    files    names of local files that hold it, as globs below the folder that is given; the first that matches counts
    hub      where it lies on the Hugging Face hub, with records of the same fields
    fields   what every record has to have
    metrics  what is measured; the first is the one that is shown where there is room for one
    graded   those of them whose marks are degrees; of the others an item is right or wrong
    """

    files: ClassVar[tuple[str, ...]]
    hub: ClassVar[Place | None] = None
    fields: ClassVar[tuple[str, ...]]
    metrics: ClassVar[tuple[str, ...]]
    graded: ClassVar[tuple[str, ...]] = ()

    def record(self, raw: Mapping[str, Any], file: Path | None) -> Record:
        """A raw record with the hub's fields. Raises KeyError, IndexError or ValueError for one that has others."""
        return dict(raw)

    def records(self, raw: Mapping[str, Any], file: Path | None) -> list[Record]:
        """The records in a raw one: more than one where it holds a text with several questions."""
        return [self.record(raw, file)]

    def text(self, record: Record) -> str:
        """The record as one text, to look for in training texts: the question and its answers."""
        raise NotImplementedError

    def harness_task(self, record: Record) -> str | None:
        """lm-evaluation-harness' task of the same items and marking that holds this record, as FOLDER/NAME."""
        return None

    def group(self, record: Record) -> str:
        """The part of the benchmark (a subject, a paradigm) that the record belongs to; '' where there are none."""
        return ""


@dataclass(frozen=True, slots=True)
class Item:
    """One question by likelihood: the answers to choose from as (context, continuation) pairs, the places of those that
    are right, and each answer's length in characters, by which `acc_norm` divides."""

    pairs: tuple[Pair, ...]
    right: tuple[int, ...]
    lengths: tuple[int, ...]


class Likelihood(Task):
    """A task whose answer is the likeliest of the choices.

    acc       the choice with the highest log-probability is right; ties share the point
    acc_norm  the same with log-probabilities divided by the choices' lengths in characters
    greedy    every token of the (only) choice is the likeliest one: the model says it by itself
    mass      the probability of the right choices among all (TruthfulQA's MC2)

    `harness` is the same task in lm-evaluation-harness, as FOLDER/NAME below its `tasks`; None where it has none.
    """

    metrics = ("acc",)
    harness: ClassVar[str | None] = None

    def item(self, record: Record) -> Item:
        """The question in a record."""
        raise NotImplementedError

    def text(self, record: Record) -> str:
        item = self.item(record)
        return " ".join(dict.fromkeys(part for pair in item.pairs for part in pair))

    def harness_task(self, record: Record) -> str | None:
        return self.harness


def choices(context: str, texts: Sequence[str], right: int | Sequence[int], gap: str = " ") -> Item:
    """Answers to one context, parted from it by `gap`."""
    gold = (right,) if isinstance(right, int) else tuple(right)
    if not texts or not all(0 <= place < len(texts) for place in gold):
        raise DataError(f"the right answer is number {gold} of {len(texts)}")
    return Item(tuple((context, gap + text) for text in texts), gold, tuple(map(len, texts)))


def mark(metric: str, item: Item, scores: Sequence[PairScore]) -> float:
    """One item's score, between 0 and 1; NaN where a log-probability is."""
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
    """What guessing scores on an item: a choice at random, or for `greedy` an id of the vocabulary for every token."""
    if metric == "greedy":
        return float(vocab_size) ** -scores[item.right[0]].tokens
    return len(item.right) / len(item.pairs)


@dataclass(frozen=True, slots=True)
class Tools:
    """What some tasks need to mark an answer: a judge (MT-Bench), and leave to run code outside a sandbox
    (HumanEval)."""

    judge: Judge | None = None
    allow_code: bool = False


class Generation(Task):
    """A task whose answer is written by the model.

    stops       strings that end an answer
    max_tokens  of an answer
    guessing    what answers at random would score
    best        the highest score
    """

    stops: ClassVar[tuple[str, ...]] = ()
    max_tokens: ClassVar[int] = 256
    best: ClassVar[float] = 1.0
    guessing: ClassVar[float] = 0.0

    def prompt(self, record: Record) -> str:
        """What the model goes on from."""
        raise NotImplementedError

    def text(self, record: Record) -> str:
        return self.prompt(record)

    def check(self, tools: Tools) -> None:
        """Called before the model writes. Raises where the answers could not be marked afterwards."""

    def answers(self, records: Sequence[Record], tell: Tell) -> list[Any]:
        """The model's answer to each record."""
        return list(tell([self.prompt(record) for record in records], self.stops, self.max_tokens))

    def chances(self, records: Sequence[Record], metric: str, tools: Tools) -> list[float]:
        """What guessing scores on each item."""
        return [self.guessing] * len(records)

    def marks(self, record: Record, answer: Any, tools: Tools) -> dict[str, float]:
        """One answer's score by metric, between 0 and `best`."""
        raise NotImplementedError


TASKS: Registry[type[Task]] = Registry("task", "lilliput.evaluation.benchmarks")
