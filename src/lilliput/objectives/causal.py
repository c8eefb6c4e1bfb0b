"""Causal language modelling: predict the next token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from lilliput.base.errors import ConfigError
from lilliput.data.rows import Rows
from lilliput.model.sight import Sight
from lilliput.objectives.objective import OBJECTIVES, Batch, Loss, Objective, Prompt

if TYPE_CHECKING:
    from lilliput.data.tokenizer import Tokenizer
    from lilliput.model.transformer import Model


@OBJECTIVES.add("causal")
class Causal(Objective):
    """Each position predicts the token after it. With segments, no target crosses from one document to the next."""

    kind: Literal["causal"] = "causal"

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

    def loss(self, model: Model, batch: Batch) -> Loss:
        hidden = model(batch.tokens, Sight(segments=batch.segments))
        return Loss(model.loss(hidden, batch.targets, batch.weights))

    def prompt(self, tokenizer: Tokenizer, opening: str | None, ending: str | None) -> Prompt:
        if ending is not None:
            raise ConfigError(
                "this model reads forwards: it can go on from an opening, not lead to a given ending",
                "train one in reverse: lilliput train story objective.kind=reversed",
            )
        ids = [*tokenizer.beginning, *tokenizer.encode(opening or "")]
        return Prompt(ids or [tokenizer.bos_id])  # a model has to be given something to go on from

    def told(self, tokenizer: Tokenizer, opening: str | None, ending: str | None, ids: Sequence[int]) -> str:
        # The opening stays as it was typed; only what follows it is decoded.
        return (opening or "") + tokenizer.decode(ids, continuing=bool(opening))
