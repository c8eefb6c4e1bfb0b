"""Instrument: a measurement of the inside of a model, and its section of the page; Subject: the model it looks at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

import torch

from lilliput.base.registry import Registry
from lilliput.evaluation.controls import untrained
from lilliput.generation.text_generator import TextGenerator
from lilliput.lens.stream import has_heads, has_neurons, not_a_sum, without_patterns
from lilliput.lens.texts import no_next_token

if TYPE_CHECKING:
    from lilliput.data.split import Split

INSTRUMENTS: Registry[type[Instrument]] = Registry("instrument", "lilliput.lens")
Part = Literal["knows", "attention", "heads", "matters", "decided", "features", "embeddings", "time"]
PARTS: dict[Part, str] = {
    "knows": "What it knows",
    "attention": "Which earlier word each head looks at",
    "heads": "Heads, and what they do",
    "matters": "What matters",
    "decided": "How a token is decided",
    "features": "Neurons and features",
    "embeddings": "Words as points",
    "time": "How it learned",
}
"""The parts of the page, in order."""


@dataclass(frozen=True)
class Subject:
    """A model to look inside.

    generator  the model with its tokenizer and direction
    rows       (N, T) int64: held-out tokens in the order in which the model reads; each row begins a document
    train      the training split, to count n-grams on; None without one
    run        the folder of its run; None for a model without one
    sibling    the same recipe with another seed, a control; None without one
    thorough   whether an instrument may take minutes; else seconds
    notify     prints a line on progress
    """

    generator: TextGenerator
    rows: torch.Tensor
    train: Split | None = None
    run: Path | None = None
    sibling: TextGenerator | None = None
    seed: int = 0
    thorough: bool = False
    notify: Callable[[str], None] = field(default=lambda text: None, compare=False)

    @cached_property
    def untrained(self) -> TextGenerator:
        """The same shape with untrained weights, a control."""
        return untrained(self.generator)


class Compared(NamedTuple):
    """A figure of a whole model, which is comparable between models of other sizes, styles or directions.

    control    the same figure of the control, such as untrained weights; None without a control
    low, high  the 95% interval of the value; None without an interval
    """

    value: float
    control: float | None = None
    low: float | None = None
    high: float | None = None


class Instrument:
    """A subclass registers itself by `@INSTRUMENTS.add(name)` and is found in any file of lens/. It fits models that
    predict the next token, where it does not say otherwise.

    title     its heading on the page, in words that a learner knows
    part      the part of the page it stands in; order: its place in it
    script    the name of a JavaScript file in lens/page/ that its section needs; '' for none
    heads     whether it needs attention whose heads' outputs add up
    patterns  whether it needs the patterns of all heads, which linear attention does not have
    neurons   whether it needs an MLP whose neurons act on all tokens
    sums      whether it needs logits that are the sum of what the parts write, normed once
    """

    title: ClassVar[str]
    part: ClassVar[Part]
    order: ClassVar[int] = 0
    script: ClassVar[str] = ""
    heads: ClassVar[bool] = False
    patterns: ClassVar[bool] = False
    neurons: ClassVar[bool] = False
    sums: ClassVar[bool] = False

    def refuses(self, subject: Subject) -> str:
        """Return why the instrument does not fit this model; '' where it fits. A subclass adds its own reasons to
        those of `super().refuses(subject)`."""
        if self.heads and not has_heads(subject.generator.model):
            return "its attention has no heads of the usual kind"
        if self.patterns and (layers := without_patterns(subject.generator.model)):
            return f"it needs attention patterns, and {layers} have none"
        if self.neurons and not has_neurons(subject.generator.model):
            return "its MLPs are experts, whose neurons do not act on all tokens"
        if self.sums and (reasons := not_a_sum(subject.generator.model)):
            return f"its logits are not the sum of what its parts write: {'; '.join(reasons)}"
        return no_next_token(subject.generator)

    def measure(self, subject: Subject) -> dict[str, Any]:
        """Return the figures, JSON values only, each with its control and interval beside it."""
        raise NotImplementedError

    def section(self, found: Mapping[str, Any]) -> str:
        """Return the figures as HTML (base/html.py, base/chart.py): words before jargon, no script inline."""
        raise NotImplementedError

    def findings(self, found: Mapping[str, Any]) -> list[str]:
        """Return sentences for the top of the page, such as "Head 1.3 copies names: ...". Only a figure that beats its
        control is a finding; [] without any."""
        return []

    def comparable(self, found: Mapping[str, Any]) -> dict[str, Compared]:
        """Return the figures that stand side by side for several models or checkpoints, by their names. A name is a
        role, such as "strongest induction head", and never the number of a head. {} where no figure is comparable."""
        return {}
