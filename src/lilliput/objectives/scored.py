"""Whole texts for a head: encoding and batches of the objectives that read a text and give a score or a class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import torch

from lilliput.data.rows import Encoded, Rows
from lilliput.model.heads import Head
from lilliput.model.transformer import Model
from lilliput.objectives.batch import Batch
from lilliput.objectives.objective import ObjectiveConfig
from lilliput.objectives.preference import sizes_of

if TYPE_CHECKING:
    from lilliput.data.tokenizer import Tokenizer


class ScoredConfig(ObjectiveConfig):
    """The base of objectives whose model has a head: a row is one document, and a text can be scored outside a run."""

    rows: ClassVar[Literal["packed", "documents"]] = "documents"

    def encode_scored(self, texts: Sequence[str], prompt: str | None, tokenizer: Tokenizer) -> list[Encoded]:
        """Return the ids of each text as the model read texts in training: by itself, or as the reply to `prompt`.
        Raises ConfigError for a prompt that the model does not take, and where it needs one."""
        raise NotImplementedError

    def answer(self, outputs: torch.Tensor) -> dict[str, Any]:
        """Return the head's `outputs` (N,) float32 of one text as named values."""
        raise NotImplementedError


def read_whole(sequence: Encoded, tokenizer: Tokenizer) -> Encoded:
    """The sequence without padding ids at its end. Where a tokenizer pads with its end mark, transformers' classes read
    the score before that mark, and so do we."""
    ids = list(sequence.ids)
    while len(ids) > 1 and ids[-1] == tokenizer.pad_id:
        ids.pop()
    return Encoded(ids, None, sequence.columns)


def whole(rows: Rows, context: int) -> Batch:
    """Rows of S sequences as tokens (R, S, T) with lengths (R, S), where T is the longest sequence of the batch, at
    most the model's context. (A row holds one id more, because other objectives shift it.)"""
    lengths = np.minimum(sizes_of(rows), context)
    tokens = np.ascontiguousarray(rows.tokens[..., : int(lengths.max())])
    return Batch(torch.from_numpy(tokens), lengths=torch.from_numpy(lengths))


def outputs_of(model: Model, head: Head, batch: Batch) -> torch.Tensor:
    """(R, S, outputs) float32: the head at the last token of each sequence."""
    sight = replace(model.sight, lengths=batch.lengths.flatten())
    found = head(model(batch.tokens.flatten(0, 1), sight), sight)
    return found.view(*batch.lengths.shape, head.outputs)
