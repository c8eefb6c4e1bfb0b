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

PROMPT_WORDS, PROMPT_TOKENS = 6, 48
"""Words of a prompt that is taken from a validation document, and the tokens that are read to find these words."""

__all__ = ["BITS", "OBJECTIVES", "Batch", "Figure", "Loss", "Objective", "ObjectiveConfig", "Prompt"]


@dataclass(frozen=True, slots=True)
class Prompt:
    """Token ids to continue from, and how the generated ids become text.

    `forbidden` are ids that may not come first (they would grow into a neighbouring word of the prompt)."""

    ids: list[int]
    forbidden: list[int] = field(default_factory=list)


class ObjectiveConfig(Config):
    """The section `objective` of a recipe and of a model's config.json. Subclass it, give `kind` a Literal, register
    it, and give `build`; the trainer needs no edit.

    A config has the parts that are needed without a run: how documents become tokens, and how the model reads.
    """

    kind: Any = None
    generates: ClassVar[bool] = False
    """Whether the model generates text. Only then are `prompt`, `text_of` and `reader` called."""
    reads_forwards: ClassVar[bool] = True
    """Whether text is generated in reading order, from an opening; else it leads to an ending."""
    chats: ClassVar[bool] = False
    """Whether the model replies to messages: a prompt of a sample is then a message of the user."""
    rows: ClassVar[Literal["packed", "documents"]] = "packed"
    """`packed`: rows as `data.packing` has them. `documents`: a row is one document, all its sequences one under
    the other (see Loader)."""
    examples: ClassVar[tuple[str, ...]] = ("text",)
    """The kinds of documents that it learns from: "text", or kinds of structured rows (data.examples)."""
    specials: ClassVar[tuple[str, ...]] = ()
    """Roles of special tokens, such as "mask", that a tokenizer trained for it has besides the usual ones."""
    figure: ClassVar[Figure] = Figure()
    """The figure by which its runs are judged."""

    def view(self, text: str) -> str:
        """The text as the tokenizer is to see it (a reversed objective turns it round here)."""
        return text

    def equip(self, tokenizer: Tokenizer) -> Tokenizer:
        """The run's tokenizer with what this objective needs beside, such as special tokens and a chat template. Old
        ids keep their tokens. Raises LilliputError for a tokenizer that cannot have it."""
        return tokenizer

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
        """Build the objective of one run. Raises LilliputError where the run cannot be trained by it."""
        raise NotImplementedError

    # ------------------------------------------------------------------ objectives that generate text

    def opening(self, tokenizer: Tokenizer, ids: Sequence[int]) -> str:
        """A prompt for samples from a validation document's `ids`, bounds included: its first words (the last words,
        for a model that reads backwards)."""
        bounds = {tokenizer.bos_id, tokenizer.eos_id} if tokenizer.bounded else set()
        read = [token for token in ids[:PROMPT_TOKENS] if token not in bounds]
        words = self.text_of(tokenizer, None, None, read).split()
        return " ".join(words[:PROMPT_WORDS] if self.reads_forwards else words[-PROMPT_WORDS:])

    def prompt(self, tokenizer: Tokenizer, opening: str | None, ending: str | None) -> Prompt:
        """The ids to continue from for a text that is to start with `opening` or to end with `ending`.
        Raises ConfigError when this objective cannot start from that side, or generates no text."""
        raise self.no_text()

    def text_of(self, tokenizer: Tokenizer, opening: str | None, ending: str | None, ids: Sequence[int]) -> str:
        """The whole text in reading order from the prompt's side and the generated `ids` (no bounds)."""
        raise self.no_text()

    def reader(self, tokenizer: Tokenizer, opening: str | None, ending: str | None) -> Reader:
        """A reader that gives the text of `text_of` beyond the prompt, piece by piece, for ids that come one at a time.
        Each piece goes behind the earlier pieces, or in front of them where `reads_forwards` is false."""
        return Reader(tokenizer, continuing=bool(opening))

    def no_text(self) -> ConfigError:
        """The error for a request of text from a model that generates none."""
        return ConfigError(
            f"this model was trained by the objective '{self.kind}', which generates no text",
            "train one that does: objective.kind=causal",
        )


class Objective:
    """An objective at work in one run.

    config    the section of the recipe
    workshop  the workshop that it was built with
    model     the model in training
    view      the model for `loss`: `model`, or the same model with compiled blocks. `prepare` and `evaluate` use
              `model`, because their shapes vary
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
        """The number of units that the loss's total sums over, by which it is divided (valid tokens, or pairs for a
        preference)."""
        return float(batch.weights.sum())

    def prepare(self, batch: Batch) -> Batch:
        """Compute further fields once a batch, such as reference log-probabilities or rollouts: without gradient, in
        evaluation mode, on the run's device. `batch.including({...})` adds them. Most objectives need none."""
        return batch

    def prepared(self, batch: Batch) -> Batch:
        """Call `prepare` without gradient and in evaluation mode; afterwards model and modules have their modes of
        before."""
        if type(self).prepare is Objective.prepare:
            return batch
        with self.measuring():
            batch = self.prepare(batch)
        return batch.usable()

    def measuring(self) -> AbstractContextManager[None]:
        """Evaluation mode without gradient, for the model and the objective's own modules."""
        return inference(nn.ModuleList([self.model, *self.modules().values()]))

    def minibatches(self, batch: Batch) -> Iterable[Batch]:
        """Yield the minibatches of the prepared batch, each for one optimiser's step; by default the batch itself. Each
        is computed after the step before it."""
        return (batch,)

    def loss(self, batch: Batch) -> Loss:
        """The summed loss of a batch, differentiable in the parameters of the model and of `modules`."""
        raise NotImplementedError

    def modules(self) -> dict[str, nn.Module]:
        """Modules that are trained with the model and kept in its checkpoints, by name, such as a value head. Every
        call returns the same modules."""
        return {}

    def reported(self, loss: float) -> dict[str, float]:
        """Further names of a training loss (nats a unit of weight) in the record of a step, such as bits per byte."""
        return {}

    def evaluate(self, held: HeldOut) -> dict[str, float]:
        """Return the objective's figures on the validation split, by names that begin with `val_`;
        `config.figure.validation` is among them. This method gives the means of the loss and of its metrics."""
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
        """Return a text from each prompt by the model in its present state, for samples.md; `generate` continues plain
        prompts with the run's sampling. Not called where `config.generates` is false."""
        return generate(prompts)


OBJECTIVES: Registry[type[ObjectiveConfig]] = Registry("objective", "lilliput.objectives")
