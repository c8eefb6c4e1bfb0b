"""The contract of every objective: a config, which is a section of the recipe, and the objective that it builds for a
run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import torch
from torch import nn

from lilliput.base.config import Config
from lilliput.base.errors import ConfigError
from lilliput.base.registry import Registry
from lilliput.data.document import Document
from lilliput.data.fitting import Reserved
from lilliput.data.rows import Encoded, Rows
from lilliput.decoding.inference import inference
from lilliput.model.config import Family
from lilliput.objectives.batch import Batch, Loss
from lilliput.objectives.figure import BITS, VALIDATION, Figure
from lilliput.objectives.reader import Reader

if TYPE_CHECKING:
    from lilliput.data.loader import Loader
    from lilliput.data.tokenizer import Tokenizer
    from lilliput.model.config import ModelConfig
    from lilliput.model.heads import Head
    from lilliput.objectives.workshop import HeldOut, Texts, Workshop

PROMPT_WORDS, PROMPT_TOKENS = 6, 48
"""Words of a prompt that is taken from a validation document, and the tokens that are read to find these words."""

__all__ = ["BITS", "OBJECTIVES", "Batch", "Family", "Figure", "Loss", "Objective", "ObjectiveConfig", "Prompt"]


@dataclass(frozen=True, slots=True)
class Prompt:
    """Token ids to continue from, and how the generated ids become text.

    `forbidden` are ids that may not come first (they would grow into a neighbouring word of the prompt). `source` are
    the ids that the encoder reads, in a model that has one."""

    ids: list[int]
    forbidden: list[int] = field(default_factory=list)
    source: list[int] = field(default_factory=list)


class ObjectiveConfig(Config):
    """The section `objective` of a recipe and of a model's config.json. A subclass gives `kind` a Literal and defines
    `build`, and is registered. The trainer needs no edit.

    A config has the parts that are needed without a run: the encoding of documents, and the direction of the model.
    """

    kind: Any = None
    generates: ClassVar[bool] = False
    """Whether the model generates text. Only then are `prompt`, `text_of` and `reader` called."""
    reads_forwards: ClassVar[bool] = True
    """Whether text is generated in reading order, from an opening; else it leads to an ending."""
    predicts_hidden: ClassVar[bool] = False
    """Whether a model that reads from left to right is also trained to predict a hidden token from both sides, at the
    position before it."""
    reads_source: ClassVar[bool] = False
    """Whether a prompt is a source that an encoder reads. The generated text then does not continue it."""
    example: ClassVar[str | None] = None
    """A source as the model card shows it, for a model that reads one."""
    rows: ClassVar[Literal["packed", "documents"]] = "packed"
    """`packed`: rows as `data.packing` has them. `documents`: a row is one document, all its sequences one under
    the other (see Loader)."""
    examples: ClassVar[tuple[str, ...]] = ("text",)
    """The kinds of documents that it learns from: "text", or kinds of structured rows (data.examples)."""
    specials: ClassVar[tuple[str, ...]] = ()
    """Roles of special tokens, such as "mask", that a tokenizer for this objective has besides the usual roles."""
    trains: ClassVar[tuple[Family, ...]] = ("decoder",)
    """The kinds of models that it trains (`ModelConfig.family`)."""
    by_document: ClassVar[bool] = False
    """Whether the loss of rows of one document each is the sum of the documents' own losses, by nothing but the model.
    Only then can the gradient of each document be clipped (`train.privacy`)."""
    dropout: ClassVar[bool] = True
    """Whether the model in training may have dropout."""
    figure: ClassVar[Figure] = Figure()
    """The figure by which its runs are judged."""
    tries: ClassVar[tuple[str, ...]] = ()
    """Commands that a finished run prints as next, where it generates no text: `{run}` stands for the run."""

    @property
    def learns_from(self) -> tuple[str, ...]:
        """The kinds of `examples` that it learns from as it is configured."""
        return self.examples

    @property
    def asked(self) -> Literal["psm", "spm"] | None:
        """The order of prefix, suffix and middle in which it is asked for a middle; None: it fills in no middle."""
        return None

    @property
    def fills(self) -> bool:
        """Whether it generates the middle of a text, between an opening and an ending, which `prompt`, `text_of` and
        `reader` then take together."""
        return self.asked is not None

    def fitted(self, model: ModelConfig) -> ObjectiveConfig:
        """Return this config with the settings that follow from the model where a person left them open."""
        return self

    @property
    def watched(self) -> tuple[str, ...]:
        """Names of rewards that are measured and not trained on."""
        return ()

    @property
    def models(self) -> dict[str, str]:
        """The runs, checkpoints and model folders that the objective loads, by the setting that names each. A run looks
        for them before its data is prepared."""
        return {}

    @property
    def reserved(self) -> Reserved | None:
        """The tokens of the context that a document leaves free; None: it may fill the context. Rows are then
        `documents`."""
        return None

    @property
    def tokenizer_from(self) -> str | None:
        """The run, checkpoint or folder whose tokenizer the run has to have, where the recipe names no tokenizer; None:
        any."""
        return None

    def view(self, text: str) -> str:
        """Return the text that the tokenizer encodes (a reversed objective reverses the text here)."""
        return text

    def equip(self, tokenizer: Tokenizer) -> Tokenizer:
        """The run's tokenizer with what this objective needs beside, such as special tokens and a chat template. Old
        ids keep their tokens. Raises LilliputError for a tokenizer that cannot have it."""
        return tokenizer

    def encode(self, documents: Sequence[Document], tokenizer: Tokenizer) -> Sequence[Encoded | Sequence[Encoded]]:
        """Turn documents into sequences of token ids with their bounds, once, when data is prepared. A document gives
        one sequence or several. Called from several threads."""
        return self.encode_texts(documents, tokenizer)

    def encode_held_out(
        self, documents: Sequence[Document], tokenizer: Tokenizer
    ) -> Sequence[Encoded | Sequence[Encoded]]:
        """Encode documents that measure a model and teach it nothing: the validation split, and texts to score. By
        default they have the form of the training documents."""
        return self.encode(documents, tokenizer)

    def check_kinds(self, kinds: Mapping[str, int]) -> None:
        """Raise DataError for a training split, counted by kind of document, that the objective learns from and is not
        meant for."""

    def encode_texts(self, documents: Sequence[Document], tokenizer: Tokenizer) -> list[Encoded]:
        """Return the ids of each document's text between its bounds. A document of tokens keeps its tokens where they
        belong to this tokenizer and the objective does not change the text."""
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
        """Return the ids to continue for a text that starts with `opening` or ends with `ending`.
        Raises ConfigError when this objective cannot start from that side, or generates no text."""
        raise self.no_text()

    def text_of(self, tokenizer: Tokenizer, opening: str | None, ending: str | None, ids: Sequence[int]) -> str:
        """Return the whole text in reading order, from the prompt and the generated `ids` (without bounds)."""
        raise self.no_text()

    def stops(self, ending: str) -> tuple[str, ...]:
        """Return the texts before which the middle before an ending stops, besides the end mark."""
        return ()

    def reader(self, tokenizer: Tokenizer, opening: str | None, ending: str | None) -> Reader:
        """Return a reader that yields the text of `text_of` without the prompt, piece by piece, for ids that come one
        at a time. Each piece goes behind the earlier pieces, or in front of them where `reads_forwards` is false."""
        return Reader(tokenizer, continuing=bool(opening))

    def no_text(self) -> ConfigError:
        """The error for a request of text from a model that generates none."""
        does = f"what it does: lilliput {self.tries[0].format(run='RUN')}; " if self.tries else ""
        return ConfigError(
            f"this model was trained by the objective '{self.kind}', which generates no text",
            f"{does}for text, train a model with objective.kind=causal",
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
        """Turn documents into sequences of token ids, in the same way as the data of the run."""
        return self.config.encode(documents, self.workshop.tokenizer)

    def batch(self, rows: Rows, rng: np.random.Generator) -> Batch:
        """Turn rows of T + 1 ids into a Batch at each step, as a pure and vectorised function. `rng` depends on (seed,
        position) only."""
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
        """Call `prepare` without gradient and in evaluation mode. Afterwards model and modules have their earlier
        modes."""
        if type(self).prepare is Objective.prepare:
            return batch
        with self.measuring():
            batch = self.prepare(batch)
        return batch.usable()

    def measuring(self) -> AbstractContextManager[None]:
        """Evaluation mode without gradient, for the model and the objective's own modules."""
        return inference(nn.ModuleList([self.model, *self.modules().values()]))

    def minibatches(self, batch: Batch) -> Iterable[Batch]:
        """Yield the minibatches of the prepared batch, by default the batch itself. Each minibatch is for one step of
        the optimiser, and is computed after the previous step."""
        return (batch,)

    def loss(self, batch: Batch) -> Loss:
        """The summed loss of a batch, differentiable in the parameters of the model and of `modules`."""
        raise NotImplementedError

    def added(self, batch: Batch) -> torch.Tensor | float:
        """The terms that parts of the model add to a loss (a router's balance), for the whole batch. A loss that is not
        `model.loss` includes them."""
        added = self.view.added_loss()
        return 0.0 if added is None else added * self.weight(batch)

    def state(self) -> dict[str, Any]:
        """Return JSON values to keep in every checkpoint, beside the weights of `modules`."""
        return {}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore the values that `state` returned; an empty mapping for a checkpoint without them."""

    def modules(self) -> dict[str, nn.Module]:
        """Modules that are trained with the model and kept in its checkpoints, by name, such as a value head. Every
        call returns the same modules."""
        return {}

    def stock_head(self) -> Head | None:
        """The head that belongs to the model wherever it is loaded, such as a reward's: the checkpoint's model folder
        is then one of a class ...ForSequenceClassification, or ...ForTokenClassification. It is also one of
        `modules`."""
        return None

    def reported(self, loss: float) -> dict[str, float]:
        """Further names of a training loss (nats a unit of weight) in the record of a step, such as bits per byte."""
        return {}

    def rollouts(self) -> Sequence[Mapping[str, Any]]:
        """JSON values of some completions of the last step, for rollouts.jsonl; none by default."""
        return ()

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

    def baselines(self, train: Loader, held: HeldOut) -> dict[str, float]:
        """Return the figure of simple answers to the same validation rows, by name, learned from the rows of `train`.
        They stand beside the run's own figure in its summary; none by default."""
        return {}

    def samples(self, prompts: Sequence[str], generate: Texts) -> list[str]:
        """Return a text from each prompt by the model in its present state, for samples.md; `generate` continues plain
        prompts with the run's sampling. Not called where `config.generates` is false."""
        return generate(prompts)


OBJECTIVES: Registry[type[ObjectiveConfig]] = Registry("objective", "lilliput.objectives")
