"""Causal language modelling: predict the next token."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import torch

from lilliput.base.errors import ConfigError
from lilliput.data.document import Document
from lilliput.data.rows import Encoded, Rows
from lilliput.model.sight import Sight
from lilliput.objectives.batch import Batch, Loss
from lilliput.objectives.figure import BITS, Figure
from lilliput.objectives.objective import OBJECTIVES, Objective, ObjectiveConfig, Prompt
from lilliput.objectives.workshop import HeldOut, Workshop, numbers_of

if TYPE_CHECKING:
    from lilliput.data.tokenizer import Tokenizer


class NextToken(Objective):
    """Each position predicts the token after it. With segments, no target crosses from one document to the next."""

    def batch(self, rows: Rows, rng: np.random.Generator) -> Batch:
        weights = rows.learn[:, 1:]
        segments = None
        if rows.segments is not None:
            weights = weights * (rows.segments[:, 1:] == rows.segments[:, :-1])
            segments = torch.from_numpy(np.ascontiguousarray(rows.segments[:, :-1]))
        return Batch(
            tokens=torch.from_numpy(np.ascontiguousarray(rows.tokens[:, :-1])),
            targets=torch.from_numpy(np.ascontiguousarray(rows.tokens[:, 1:])),
            weights=torch.from_numpy(np.ascontiguousarray(weights, dtype=np.float32)),
            segments=segments,
        )

    def loss(self, batch: Batch) -> Loss:
        hidden = self.view(batch.tokens, Sight(segments=batch.get("segments")))
        return Loss(self.view.loss(hidden, batch.targets, batch.weights))

    def reported(self, loss: float) -> dict[str, float]:
        return {BITS.training: loss / math.log(2) / self.workshop.bytes_per_target}

    def evaluate(self, held: HeldOut) -> dict[str, float]:
        """Bits per byte of the validation text, each document by itself."""
        return numbers_of(held.text())


class NextTokenConfig(ObjectiveConfig):
    """The base of objectives of one sequence a document whose model predicts the next token and generates text."""

    generates: ClassVar[bool] = True
    figure: ClassVar[Figure] = BITS

    def encode(self, documents: Sequence[Document], tokenizer: Tokenizer) -> list[Encoded]:
        return self.encode_texts(documents, tokenizer)

    def build(self, workshop: Workshop) -> Objective:
        return NextToken(self, workshop)

    def prompt(self, tokenizer: Tokenizer, opening: str | None, ending: str | None) -> Prompt:
        if ending is not None:
            raise ConfigError(
                "this model reads forwards: it can continue an opening, but cannot lead to a given ending",
                "train one in reverse: lilliput train story objective.kind=reversed",
            )
        ids = [*tokenizer.beginning, *tokenizer.encode(opening or "")]
        return Prompt(ids or [tokenizer.bos_id])  # a model needs at least one token to continue

    def text_of(self, tokenizer: Tokenizer, opening: str | None, ending: str | None, ids: Sequence[int]) -> str:
        # The opening stays as it was typed; only what follows it is decoded.
        return (opening or "") + tokenizer.decode(ids, continuing=bool(opening))


@OBJECTIVES.add("causal")
class Causal(NextTokenConfig):
    """Each token is predicted from the tokens before it, in reading order (see NextToken)."""

    kind: Literal["causal"] = "causal"
    by_document: ClassVar[bool] = True
