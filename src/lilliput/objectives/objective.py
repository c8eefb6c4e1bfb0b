"""The contract of every objective: Batch, Loss and the three moments at which an objective acts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from lilliput.base.config import Config
from lilliput.base.errors import ConfigError
from lilliput.base.registry import Registry
from lilliput.data.document import Document
from lilliput.data.rows import Encoded, Rows
from lilliput.objectives.reader import Reader

if TYPE_CHECKING:
    import torch

    from lilliput.data.tokenizer import Tokenizer
    from lilliput.model.transformer import Model


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows for any supervised objective; R rows of T positions.

    tokens    (R, T) int64    what the model reads
    targets   (R, T) int64    what it should say at each position
    weights   (R, T) float32  how much each position counts; 0 where nothing is learned (padding, prompts)
    segments  (R, T) int64    positions see only their own segment; None when a row is one segment
    source    (R, S) int64    an encoder's input; None without an encoder
    """

    tokens: torch.Tensor
    targets: torch.Tensor
    weights: torch.Tensor
    segments: torch.Tensor | None = None
    source: torch.Tensor | None = None

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on `device`, copied without waiting where the memory is pinned."""
        return self._each(lambda part: part.to(device, non_blocking=True))

    def pinned(self) -> Batch:
        """The same batch in pinned memory, from which a GPU copies while it computes."""
        return self._each(lambda part: part.pin_memory())

    def split(self, rows: int) -> list[Batch]:
        """Micro-batches of at most `rows` rows, in order."""
        return [self._each(lambda part, i=i: part[i : i + rows]) for i in range(0, len(self.tokens), rows)]

    def cut(self, length: int) -> Batch:
        """The same positions in rows of `length`, which has to divide T. Raises ConfigError where an encoder reads
        a row as a whole."""
        if length == self.tokens.shape[1]:
            return self
        if self.source is not None:
            raise ConfigError("rows that an encoder reads cannot be cut", "leave out train.growth.context")
        return self._each(lambda part: part.reshape(-1, length))

    def _each(self, change: Callable[[torch.Tensor], torch.Tensor]) -> Batch:
        segments = None if self.segments is None else change(self.segments)
        source = None if self.source is None else change(self.source)
        return Batch(change(self.tokens), change(self.targets), change(self.weights), segments, source)


@dataclass(frozen=True, slots=True)
class Loss:
    """`total` is a sum over what is learned (nats, float32 scalar), not a mean: the trainer divides by the weight
    of the whole batch, so that micro-batches of unequal weight add up exactly. `metrics` are further sums."""

    total: torch.Tensor
    metrics: dict[str, torch.Tensor] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Prompt:
    """Token ids to continue from, and how to read what comes back.

    `forbidden` are ids that may not come first (they would grow into a neighbouring word of the prompt)."""

    ids: list[int]
    forbidden: list[int] = field(default_factory=list)


class Objective(Config):
    """What a row is and what its loss is. Subclass, give `kind` a Literal, register it; the trainer needs no edit.

    The base class is the causal language model's view of text: subclasses override what differs.
    """

    kind: Any = None
    reads_forwards: ClassVar[bool] = True
    """Whether text comes out in reading order, from an opening; else it leads to an ending."""

    def view(self, text: str) -> str:
        """The text as the tokenizer is to see it (a reversed objective turns it round here)."""
        return text

    def encode(self, documents: Sequence[Document], tokenizer: Tokenizer) -> list[Encoded]:
        """Documents to token ids with the story bounds in place, once, when data is prepared. Tokens that a document
        came as are taken where they are this tokenizer's and the objective views the text as it is."""
        bos, eos = np.array([tokenizer.bos_id], np.uint32), np.array([tokenizer.eos_id], np.uint32)
        views = [self.view(document.text) for document in documents]
        known = [
            document.tokens.ids
            if document.tokens and view == document.text and document.tokens.tokenizer.sha256 == tokenizer.sha256
            else None
            for document, view in zip(documents, views, strict=True)
        ]
        made = iter(tokenizer.encode_arrays([view for view, ids in zip(views, known, strict=True) if ids is None]))
        rows = (next(made) if ids is None else ids for ids in known)
        return [Encoded(ids=np.concatenate((bos, ids, eos))) for ids in rows]

    def batch(self, rows: Rows, rng: np.random.Generator) -> Batch:
        """Rows of T + 1 ids to a Batch, each step, pure and vectorised; `rng` depends on (seed, position) only."""
        raise NotImplementedError

    def weight(self, batch: Batch) -> float:
        """What the loss's total is a sum over: the divisor of the batch (valid tokens; pairs for a preference)."""
        return float(batch.weights.sum())

    def prepare(self, model: Model, batch: Batch) -> Batch:
        """Before the loss and without gradient: reference log-probabilities, rollouts. Most objectives need none."""
        return batch

    def loss(self, model: Model, batch: Batch) -> Loss:
        """The summed loss of a batch, differentiable in the model's parameters."""
        raise NotImplementedError

    def prompt(self, tokenizer: Tokenizer, opening: str | None, ending: str | None) -> Prompt:
        """The ids to continue from for a text that is to start with `opening` or to end with `ending`.
        Raises ConfigError when this objective cannot start from that side."""
        raise NotImplementedError

    def told(self, tokenizer: Tokenizer, opening: str | None, ending: str | None, ids: Sequence[int]) -> str:
        """The whole text in reading order from the prompt's side and the generated `ids` (no bounds)."""
        raise NotImplementedError

    def reader(self, tokenizer: Tokenizer, opening: str | None, ending: str | None) -> Reader:
        """What `told` gives beyond the prompt, piece by piece for ids that come one at a time: each piece goes behind
        those before it, or in front of them where `reads_forwards` is false."""
        return Reader(tokenizer, continuing=bool(opening))


OBJECTIVES: Registry[type[Objective]] = Registry("objective", "lilliput.objectives")
