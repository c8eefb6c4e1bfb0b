"""Whole texts for a head: encoding and batches of the objectives that read a text and give a score or a class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


SECOND = "second"
"""The column with the place of the first token of a pair's second text, where it has types of its own."""


class ScoredConfig(ObjectiveConfig):
    """The base of objectives whose model has a head: a row is one document, and a text can be scored outside a run."""

    rows: ClassVar[Literal["packed", "documents"]] = "documents"

    def encode_scored(
        self, texts: Sequence[str], prompt: str | None, tokenizer: Tokenizer, pair: str | None = None
    ) -> list[Encoded]:
        """Return the ids of each text as the model read texts in training: by itself, as the reply to `prompt`, or as
        the first text of a pair whose second text is `pair`. Raises ConfigError for a prompt or a pair that the model
        does not take, and where it needs one."""
        raise NotImplementedError

    def check_head(self, head: Head) -> None:
        """Raise ModelError for a head in a folder whose outputs this objective cannot name."""

    def answer(self, outputs: torch.Tensor, text: str, sequence: Encoded) -> dict[str, Any]:
        """Return the head's `outputs` of one text as named values: (N,) float32, or (T, N) for a head of each token,
        where T are the tokens of the encoded `sequence` that fit into the context."""
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


def with_types(batch: Batch, columns: Sequence[Sequence[Mapping[str, Any]]], model: Model) -> Batch:
    """The batch of `whole` with `types` (R, S, T) int64 for a model that has types of tokens: 1 from a pair's second
    text on, else 0. `columns` are those of each sequence."""
    if model.config.token_types < 2:
        return batch
    places = torch.arange(batch.tokens.shape[-1])
    seconds = torch.tensor([[one.get(SECOND, len(places)) for one in row] for row in columns])
    return batch.including({"types": (places >= seconds[..., None]).long()})


def outputs_of(model: Model, head: Head, batch: Batch) -> torch.Tensor:
    """(R, S, outputs) float32: the head's outputs of each sequence; for a head of each token (R, S, T, outputs)."""
    sight, types = replace(model.sight, lengths=batch.lengths.flatten()), batch.get("types")
    hidden = model(batch.tokens.flatten(0, 1), sight, types=None if types is None else types.flatten(0, 1))
    found = head(hidden, sight, model.head)
    return found.unflatten(0, batch.lengths.shape)
