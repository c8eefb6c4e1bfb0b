"""The contract of every objective: a config that is a section of the recipe, and what it builds for a run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from torch import nn

from lilliput.base.config import Config
from lilliput.base.errors import ConfigError
from lilliput.base.registry import Registry
from lilliput.data.document import Document
from lilliput.data.rows import Encoded, Rows
from lilliput.decoding.inference import inference
from lilliput.objectives.batch import Batch, Loss
from lilliput.objectives.figure import BITS, VALIDATION, Figure
from lilliput.objectives.reader import Reader

if TYPE_CHECKING:
    from lilliput.data.tokenizer import Tokenizer
    from lilliput.objectives.workshop import HeldOut, Texts, Workshop

__all__ = ["BITS", "OBJECTIVES", "Batch", "Figure", "Loss", "Objective", "ObjectiveConfig", "Prompt"]


@dataclass(frozen=True, slots=True)
class Prompt:
    """Token ids to continue from, and how to read what comes back.

    `forbidden` are ids that may not come first (they would grow into a neighbouring word of the prompt)."""

    ids: list[int]
    forbidden: list[int] = field(default_factory=list)


class ObjectiveConfig(Config):
    """`objective`: what is learned, as a recipe and a model's config.json hold it. Subclass, give `kind` a Literal,
    register it, and give `build`; the trainer needs no edit.

    A config answers what has to be known without a run: how documents become tokens, and how the model reads.
    """

    kind: Any = None
    generates: ClassVar[bool] = False
    """Whether the model generates text. `prompt`, `told` and `reader` are asked of such objectives alone."""
    reads_forwards: ClassVar[bool] = True
    """Whether text comes out in reading order, from an opening; else it leads to an ending."""
    rows: ClassVar[Literal["packed", "documents"]] = "packed"
    """`packed`: rows as `data.packing` has them. `documents`: a row is one document, all its sequences one under
    the other (see Loader)."""
    specials: ClassVar[tuple[str, ...]] = ()
    """Roles of special tokens, such as "mask", that a tokenizer trained for it has besides the usual ones."""
    figure: ClassVar[Figure] = Figure()
    """What its runs are judged by."""

    def view(self, text: str) -> str:
        """The text as the tokenizer is to see it (a reversed objective turns it round here)."""
        return text

    def encode(self, documents: Sequence[Document], tokenizer: Tokenizer) -> Sequence[Encoded | Sequence[Encoded]]:
        """Documents to sequences of token ids with the bounds in place, once, when data is prepared: one sequence a
        document, or several. Called from several threads."""
        return self.encode_texts(documents, tokenizer)

    def encode_texts(self, documents: Sequence[Document], tokenizer: Tokenizer) -> list[Encoded]:
        """The text of each document between its bounds. Tokens that a document came as are taken where they are this
        tokenizer's and the objective views the text as it is."""
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

    def build(self, workshop: Workshop) -> Objective:
        """The objective of one run. Raises LilliputError for what cannot be trained so."""
        raise NotImplementedError

    # ------------------------------------------------------------------ of those that generate text

    def prompt(self, tokenizer: Tokenizer, opening: str | None, ending: str | None) -> Prompt:
        """The ids to continue from for a text that is to start with `opening` or to end with `ending`.
        Raises ConfigError when this objective cannot start from that side, or generates no text."""
        raise self.no_text()

    def told(self, tokenizer: Tokenizer, opening: str | None, ending: str | None, ids: Sequence[int]) -> str:
        """The whole text in reading order from the prompt's side and the generated `ids` (no bounds)."""
        raise self.no_text()

    def reader(self, tokenizer: Tokenizer, opening: str | None, ending: str | None) -> Reader:
        """What `told` gives beyond the prompt, piece by piece for ids that come one at a time: each piece goes behind
        those before it, or in front of them where `reads_forwards` is false."""
        return Reader(tokenizer, continuing=bool(opening))

    def no_text(self) -> ConfigError:
        """What to raise where text is asked of a model that generates none."""
        return ConfigError(
            f"this model was trained by the objective '{self.kind}', which generates no text",
            "train one that does: objective.kind=causal",
        )


class Objective:
    """An objective at work in one run.

    config    the section of the recipe
    workshop  what it was built with
    model     the model in training
    view      what `loss` calls: the model, or what stands in for it with compiled blocks. `prepare` and `evaluate`
              keep to `model`, since their shapes vary
    """

    def __init__(self, config: ObjectiveConfig, workshop: Workshop):
        self.config, self.workshop = config, workshop
        self.model = self.view = workshop.model

    def encode(self, documents: Sequence[Document]) -> Sequence[Encoded | Sequence[Encoded]]:
        """Documents to sequences of token ids, as the data of the run was encoded."""
        return self.config.encode(documents, self.workshop.tokenizer)

    def batch(self, rows: Rows, rng: np.random.Generator) -> Batch:
        """Rows of T + 1 ids to a Batch, each step, pure and vectorised; `rng` depends on (seed, position) only."""
        raise NotImplementedError

    def weight(self, batch: Batch) -> float:
        """What the loss's total is a sum over: the divisor of the batch (valid tokens; pairs for a preference)."""
        return float(batch.weights.sum())

    def prepare(self, batch: Batch) -> Batch:
        """Once a batch and without gradient, in evaluation mode and on the run's device: reference log-probabilities,
        rollouts. `batch.including({...})` adds what was computed. Most objectives need none."""
        return batch

    def prepared(self, batch: Batch) -> Batch:
        """`prepare` as it is promised; model and modules are left in the modes that they were in."""
        if type(self).prepare is Objective.prepare:
            return batch
        with self.measuring():
            batch = self.prepare(batch)
        return batch.usable()

    def measuring(self) -> AbstractContextManager[None]:
        """Evaluation mode without gradient, for the model and the objective's own modules."""
        return inference(nn.ModuleList([self.model, *self.modules().values()]))

    def minibatches(self, batch: Batch) -> Iterable[Batch]:
        """What the prepared batch is learned in, an optimiser's step each: by default one. Each is computed when the
        step before it was taken."""
        return (batch,)

    def loss(self, batch: Batch) -> Loss:
        """The summed loss of a batch, differentiable in the parameters of the model and of `modules`."""
        raise NotImplementedError

    def modules(self) -> dict[str, nn.Module]:
        """Modules that are trained with the model and kept in its checkpoints, by name: a value head. The same ones at
        each call."""
        return {}

    def reported(self, loss: float) -> dict[str, float]:
        """Further names of a training loss (nats a unit of weight) in the record of a step, such as bits per byte."""
        return {}

    def evaluate(self, held: HeldOut) -> dict[str, float]:
        """Its own figures on the validation split, by names that begin with `val_`; `config.figure.validation` is among
        them. Here the means of the loss and of its metrics."""
        sums: dict[str, float] = {}
        weight = 0.0
        trained, self.view = self.view, self.model
        try:
            with self.measuring():
                for batch in held.batches(self):
                    loss = self.loss(batch)
                    for name, value in {"loss": loss.total, **loss.metrics}.items():
                        sums[name] = sums.get(name, 0.0) + float(value)
                    weight += self.weight(batch)
        finally:
            self.view = trained
        return {f"{VALIDATION}{name}": value / max(weight, 1e-9) for name, value in sums.items()}

    def samples(self, prompts: Sequence[str], generate: Texts) -> list[str]:
        """A text from each prompt by the model as it stands, for samples.md; `generate` continues plain prompts with
        the run's sampling. None are asked for where `config.generates` is false."""
        return generate(prompts)


OBJECTIVES: Registry[type[ObjectiveConfig]] = Registry("objective", "lilliput.objectives")
