"""Workshop: the parts of a run that build an objective; and HeldOut, the rows that evaluate it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import torch

from lilliput.base.errors import ConfigError
from lilliput.base.seeds import generator
from lilliput.data.examples import Turns
from lilliput.objectives.figure import VAL_BITS_PER_BYTE, VAL_LOSS, VAL_PERPLEXITY

if TYPE_CHECKING:
    import numpy as np

    from lilliput.data.loader import Loader
    from lilliput.data.rows import Rows
    from lilliput.data.tokenizer import Tokenizer
    from lilliput.decoding.engine import Engine
    from lilliput.model.heads import Head
    from lilliput.model.transformer import Model
    from lilliput.objectives.batch import Batch
    from lilliput.objectives.objective import Objective, ObjectiveConfig

ROWS = 8
"""Rows that are evaluated at once."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A trained model beside the model in training: in evaluation mode, on the run's device, without gradient.

    objective  the config of the objective that trained the model
    modules    the weights of that objective's own modules, by the names of its checkpoint ("value.weight"); empty for a
               folder that is no checkpoint
    head       the head in the model's folder; None where it has none
    """

    model: Model
    tokenizer: Tokenizer
    objective: ObjectiveConfig
    modules: dict[str, torch.Tensor] = field(default_factory=dict)
    head: Head | None = None


def _cannot_load(path: str | Path) -> Reference:
    raise ConfigError(f"only a run can load {path}: build the objective in a run")


def _no_beginning() -> Reference:
    raise ConfigError("there is no earlier model here: build the objective in a run that begins with --from RUN")


def _cannot_generate(rows: int, capacity: int | None = None, weights: str = "own") -> Engine:
    raise ConfigError("there is nothing here to generate with: build the objective in a run")


@dataclass(frozen=True, slots=True)
class Workshop:
    """The parts of a run that `ObjectiveConfig.build` may use.

    tokenizer  the run's
    model      the model in training, on `device`
    seed       the run's seed
    bytes_per_target  mean UTF-8 bytes of text in a learned token of the training split
    load       a reference or reward model from the name of a run, a checkpoint or a model folder. Raises LilliputError
    initial    the model that the run began with (`init.from`), the same after a resume. Raises ConfigError where the
               run began from nothing, and where that model is gone or has changed
    engine     an engine on the live weights that generates so many rows side by side: `engine(rows)`, or `engine(rows,
               capacity)` for rows of at most so many tokens, whose memory is smaller. `engine(rows, capacity, "bf16")`
               computes with bf16 weights where native steps have instructions for them
    ends       the ids that end a text that the model generates
    notify     shows a line to the person
    """

    tokenizer: Tokenizer
    model: Model
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    seed: int = 0
    bytes_per_target: float = 1.0
    load: Callable[[str | Path], Reference] = _cannot_load
    initial: Callable[[], Reference] = _no_beginning
    engine: Callable[..., Engine] = _cannot_generate
    ends: frozenset[int] = frozenset()
    notify: Callable[[str], None] = print


class TextScore(Protocol):
    """The results of `evaluation.bits_per_byte` that objectives report."""

    @property
    def nats_per_token(self) -> float: ...
    @property
    def bits_per_byte(self) -> float: ...
    @property
    def perplexity(self) -> float: ...
    @property
    def tokens(self) -> int: ...


@dataclass(frozen=True, slots=True)
class HeldOut:
    """The same part of the validation split at every evaluation.

    loader      its rows, in an order that no seed of a run changes
    max_tokens  how many tokens of them are evaluated; None: all
    text        scores it as text, each token given the tokens before it: bits per byte of the model's present state
    """

    loader: Callable[[], Loader]
    max_tokens: int | None
    text: Callable[[], TextScore]

    def rows(self, loader: Loader) -> int:
        """The number of rows that are evaluated."""
        if self.max_tokens is None:
            return loader.rows_per_epoch
        return min(loader.rows_per_epoch, max(1, self.max_tokens // loader.row_tokens))

    def draws(self) -> Iterator[tuple[Rows, np.random.Generator]]:
        """Yield the rows, some at a time, each with random numbers that depend on their place alone, so that two
        evaluations are alike."""
        loader = self.loader()
        count = self.rows(loader)
        for place in range(0, count, ROWS):
            yield loader.take(place, min(ROWS, count - place)), generator("validation", place)

    def batches(self, objective: Objective) -> Iterator[Batch]:
        """Prepared batches of the rows on the objective's device."""
        for rows, rng in self.draws():
            yield objective.prepared(objective.batch(rows, rng).to(objective.workshop.device))


def numbers_of(text: TextScore) -> dict[str, float]:
    """Return a score of text by its names in metrics.jsonl and summary.json."""
    return {
        VAL_LOSS: text.nats_per_token,
        VAL_BITS_PER_BYTE: text.bits_per_byte,
        VAL_PERPLEXITY: text.perplexity,
    }


Texts = Callable[[Sequence[Turns]], list[str]]
"""One text from each prompt, by the model's present state and the run's sampling: the whole text of a plain prompt, the
reply to a conversation."""
