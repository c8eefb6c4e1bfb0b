"""Classification: the class of a text or a pair of texts, or a score, by a head of whole texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import nn

from lilliput.base.errors import ConfigError, DataError
from lilliput.base.statistics import wilson
from lilliput.data.document import Document
from lilliput.data.loader import Loader
from lilliput.data.rows import Encoded, Rows
from lilliput.model.heads import POOLING, Head, Pooling, through_prediction
from lilliput.objectives.accepted import examples_of
from lilliput.objectives.bag_of_words import baselines
from lilliput.objectives.batch import Batch, Loss
from lilliput.objectives.figure import VAL_LOSS, Figure
from lilliput.objectives.objective import OBJECTIVES, Family, Objective
from lilliput.objectives.scored import SECOND, ScoredConfig, outputs_of, read_whole, whole, with_types
from lilliput.objectives.workshop import HeldOut, Workshop

if TYPE_CHECKING:
    from lilliput.data.tokenizer import Tokenizer
    from lilliput.model.config import ModelConfig

FIGURE = Figure("error", "val_error", "error")
LABEL = "label"


class Classifier(Objective):
    """The model with a head of one output a class, or of one output for scores."""

    config: Classify

    def __init__(self, config: Classify, workshop: Workshop):
        super().__init__(config, workshop)
        names = config.labels or ("score",)
        pooling = config.pooling or POOLING
        self.head = Head(workshop.model.config, len(names), workshop.seed, names, pooling=pooling).to(workshop.device)

    def stock_head(self) -> Head:
        return self.head

    def modules(self) -> dict[str, nn.Module]:
        return {"classifier": self.head}

    def batch(self, rows: Rows, rng: np.random.Generator) -> Batch:
        """tokens (R, 1, T), lengths (R, 1), labels (R,): int64 numbers of classes, or float32 scores; types (R, 1, T)
        where the model has them."""
        found = [columns[0][LABEL] for columns in rows.columns]
        labels = torch.tensor(found, dtype=torch.int64 if self.config.labels else torch.float32)
        made = with_types(whole(rows, self.model.config.context_length), rows.columns, self.model)
        return made.including({"labels": labels})

    def weight(self, batch: Batch) -> float:
        """The number of documents."""
        return float(len(batch))

    def loss(self, batch: Batch) -> Loss:
        outputs = outputs_of(self.view, self.head, batch)[:, 0]
        total = self._losses(outputs, batch.labels).sum() + self.added(batch)
        errors = self._errors(outputs.detach(), batch.labels)
        right = {"accuracy": (1 - errors).sum()} if self.config.labels else {}
        return Loss(total, {FIGURE.training: errors.sum(), **right})

    def _losses(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """outputs (R, N), labels (R,) -> (R,): cross-entropy in nats, or the squared error of a score."""
        if self.config.labels:
            return F.cross_entropy(outputs, labels, reduction="none")
        return (outputs[:, 0] - labels) ** 2

    def _errors(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """(R,): 1 for a wrong class, else 0; or the distance of a score from the right one."""
        if self.config.labels:
            return (outputs.argmax(-1) != labels).float()
        return (outputs[:, 0] - labels).abs()

    def evaluate(self, held: HeldOut) -> dict[str, float]:
        """The mean loss and error; for classes the accuracy with its 95% interval, for scores their correlation."""
        with self.measuring():
            found = [
                (outputs_of(self.model, self.head, batch)[:, 0].cpu(), batch.labels.cpu())
                for batch in held.batches(self)
            ]
        outputs, labels = (torch.cat(part) for part in zip(*found, strict=True))
        errors = self._errors(outputs, labels)
        figures = {VAL_LOSS: float(self._losses(outputs, labels).mean()), FIGURE.validation: float(errors.mean())}
        if not self.config.labels:
            both = torch.stack((outputs[:, 0], labels))
            related = float(torch.corrcoef(both)[0, 1]) if len(labels) > 1 else 0.0
            return {**figures, "val_correlation": related if np.isfinite(related) else 0.0, "val_items": len(labels)}
        low, high = wilson(int((errors == 0).sum()), len(errors))
        accuracy = {"val_accuracy": float((errors == 0).float().mean()), "val_accuracy_low": low}
        return {**figures, **accuracy, "val_accuracy_high": high, "val_items": len(labels)}

    def baselines(self, train: Loader, held: HeldOut) -> dict[str, float]:
        """The errors of answers that need no language model, on the same documents."""
        loader = held.loader()
        count = held.rows(loader)
        sides = [(train, train.rows_per_epoch), (loader, count)]
        texts, labels = zip(*(self._read(rows, many) for rows, many in sides), strict=True)
        return baselines(texts, labels, len(self.config.labels))

    def _read(self, loader: Loader, count: int) -> tuple[list[str], list[float]]:
        """The texts and labels of the first `count` rows."""
        tokenizer, texts, labels = self.workshop.tokenizer, [], []
        special = set(tokenizer.specials.values())

        def text_of(ids: list[int]) -> str:
            """The texts between marks, a line each."""
            parts = (list(part) for marked, part in groupby(ids, special.__contains__) if not marked)
            return "\n".join(tokenizer.decode(part) for part in parts)

        for place in range(0, count, 256):
            rows = loader.take(place, min(256, count - place))
            for ids, columns in zip(rows.tokens[:, 0].tolist(), rows.columns, strict=True):
                texts.append(text_of(ids))
                labels.append(columns[0][LABEL])
        return texts, labels


@OBJECTIVES.add("classify")
class Classify(ScoredConfig):
    """The class of a text, of a pair of texts, or a score. The figure is the share of wrong classes; for scores, their
    mean distance from the right ones."""

    kind: Literal["classify"] = "classify"
    labels: tuple[str, ...] = Field(
        default=(),
        description="the names of the classes, in the order of the numbers that labels may be; empty: labels are "
        "scores, which the model learns by their squared error",
    )
    pairs: Literal["lines", "marks"] | None = Field(
        default=None,
        description="how a pair of texts is read: lines: as one text of two lines; marks: with the end mark behind "
        "each text, and the second text with types of its own where the model has types (BERT); null: marks for an "
        "encoder, lines for a decoder",
    )
    pooling: Pooling | None = Field(
        default=None,
        description="how a head of ModernBERT's parts makes one position of a text: mean or first; null: "
        f"{POOLING}. A decoder's head reads the last position, and BERT's reads the first",
    )
    trains: ClassVar[tuple[Family, ...]] = ("decoder", "encoder")
    examples: ClassVar[tuple[str, ...]] = ("labelled",)
    figure: ClassVar[Figure] = FIGURE
    tries: ClassVar[tuple[str, ...]] = ('score {run} "It was a good day."', "evaluate {run}")

    def encode(self, documents: Sequence[Document], tokenizer: Tokenizer) -> list[list[Encoded]]:
        examples = examples_of(documents, self)
        numbers = [
            self.number_of(example.row[LABEL], document.id, [other.row[LABEL] for other in examples])
            for document, example in zip(documents, examples, strict=True)
        ]
        found = self._encoded([(each.row["text"], each.row.get("pair")) for each in examples], tokenizer)
        columns = ({LABEL: number, **(each.columns or {})} for number, each in zip(numbers, found, strict=True))
        return [[replace(each, columns=own)] for each, own in zip(found, columns, strict=True)]

    def encode_scored(
        self, texts: Sequence[str], prompt: str | None, tokenizer: Tokenizer, pair: str | None = None
    ) -> list[Encoded]:
        if prompt is not None:
            raise ConfigError("a classifier reads texts alone", "leave --prompt out; a second text is --pair TEXT")
        return self._encoded([(text, pair) for text in texts], tokenizer)

    def _encoded(self, pairs: Sequence[tuple[str, str | None]], tokenizer: Tokenizer) -> list[Encoded]:
        """Return the ids of texts, each with its second text or None, and the place of the second text where it is
        read behind a mark."""
        marked = self.pairs == "marks"
        texts = [text if marked else one_text(text, pair) for text, pair in pairs]
        firsts = tokenizer.encode_batch(texts)
        seconds = iter(tokenizer.encode_batch([pair for _, pair in pairs if marked and pair is not None]))
        ends, made = sorted(tokenizer.ends), []
        for ids, (_, pair) in zip(firsts, pairs, strict=True):
            before = [*tokenizer.beginning, *ids, *ends]
            if marked and pair is not None:
                made.append(Encoded([*before, *next(seconds), *ends], None, {SECOND: len(before)}))
            else:
                made.append(Encoded(before))
        return [read_whole(each, tokenizer) for each in made]

    def answer(self, outputs: torch.Tensor, text: str, sequence: Encoded) -> dict[str, Any]:
        """`label`, the likeliest class, and `probabilities` by class; or `score`."""
        if not self.labels:
            return {"score": float(outputs[0])}
        shares = dict(zip(self.labels, outputs.softmax(-1).tolist(), strict=True))
        return {"label": max(shares, key=lambda name: shares[name]), "probabilities": shares}

    def fitted(self, model: ModelConfig) -> Classify:
        if self.pairs is not None:
            return self
        return self.model_copy(update={"pairs": "lines" if model.causal else "marks"})

    def number_of(self, label: Any, where: str, others: Sequence[Any]) -> int | float:
        """The number of a class from its name or number, or a score. Raises DataError with the labels of the `others`
        for a label that is neither."""
        if not self.labels:
            if isinstance(label, int | float) and not isinstance(label, bool):
                return float(label)
            names = ",".join(sorted({str(other) for other in others})[:20])
            raise DataError(
                f"{where} has the label {label!r}, which is no number, and no class has a name",
                f"name the classes: 'objective.labels=[{names}]'",
            )
        if str(label) in self.labels:
            return self.labels.index(str(label))
        number = int(label) if isinstance(label, int) or str(label).isdecimal() else -1
        if 0 <= number < len(self.labels):
            return number
        raise DataError(
            f"{where} has the label {label!r}, which is none of {', '.join(self.labels)} and no number from 0 to "
            f"{len(self.labels) - 1}",
            "name all classes: objective.labels=[...]",
        )

    def build(self, workshop: Workshop) -> Objective:
        if len(self.labels) == 1 or len(set(self.labels)) < len(self.labels):
            raise ConfigError(
                f"objective.labels is {', '.join(self.labels)}: a class needs another one, and a name of its own",
                "name at least two classes; leave objective.labels empty for scores",
            )
        if self.pooling is not None and not through_prediction(workshop.model.config):
            raise ConfigError(
                f"objective.pooling is {self.pooling}, and only a head of ModernBERT's parts has a choice",
                "leave objective.pooling out",
            )
        return Classifier(self, workshop)


def one_text(text: str, pair: str | None) -> str:
    """The text of two lines that stands for a pair."""
    return text if pair is None else f"{text}\n{pair}"
