"""Rows of a table: a causal model that predicts each value of a row, its columns in any order."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field

from lilliput.base.errors import ConfigError
from lilliput.data.rows import Rows
from lilliput.objectives.batch import Batch, Loss
from lilliput.objectives.causal import NextToken
from lilliput.objectives.figure import VAL_LOSS, Figure
from lilliput.objectives.objective import OBJECTIVES, Objective, ObjectiveConfig
from lilliput.objectives.workshop import HeldOut, Workshop

if TYPE_CHECKING:
    from lilliput.data.tokenizer import Tokenizer

FIGURE = Figure("bits_per_row", "val_bits_per_row", "bits a row")


class TableObjective(NextToken):
    """Next-token prediction of values alone; columns change places within a row (see Table)."""

    config: Table

    def __init__(self, config: Table, workshop: Workshop):
        super().__init__(config, workshop)
        self.marker, self.fixed, self.known = roles_of(workshop.tokenizer)

    def batch(self, rows: Rows, rng: np.random.Generator) -> Batch:
        tokens = shuffled(rows.tokens, rows.segments, self.marker, self.fixed, rng)
        chosen = rng.random(len(tokens)) < self.config.shuffle
        return self._values(rows, np.where(chosen[:, None], tokens, rows.tokens), rng)

    def _values(self, rows: Rows, tokens: np.ndarray, rng: np.random.Generator) -> Batch:
        """Return a batch of rows with these tokens, in which values and marks alone are learned. Columns change places
        within documents, so that what a row learns of padding and beginnings stays where it is."""
        learn = np.where(self.marker[tokens] | self.known[tokens], 0, rows.learn)
        return NextToken.batch(self, Rows(tokens, learn, rows.segments), rng)

    def loss(self, batch: Batch) -> Loss:
        plain = super().loss(batch)
        documents = (batch.targets == self.workshop.tokenizer.eos_id).sum().clamp(min=1)
        # Metrics are divided by the weight, as the loss is.
        bits = plain.total.detach() / math.log(2) / documents * batch.weights.sum()
        return Loss(plain.total, {FIGURE.training: bits})

    def reported(self, loss: float) -> dict[str, float]:
        return {}

    def evaluate(self, held: HeldOut) -> dict[str, float]:
        """Return the bits of a held-out row, or of all rows of an entity, in the table's own order of columns, and the
        nats of a value."""
        nats = values = documents = 0.0
        end = self.workshop.tokenizer.eos_id
        trained, self.view = self.view, self.model
        try:
            with self.measuring():
                for rows, rng in held.draws():
                    batch = self._values(rows, rows.tokens, rng).to(self.workshop.device)
                    nats += float(self.loss(batch).total)
                    values += self.weight(batch)
                    documents += float((rows.tokens[:, 1:] == end).sum())
        finally:
            self.view = trained
        return {VAL_LOSS: nats / max(values, 1), FIGURE.validation: nats / math.log(2) / max(documents, 1)}


@OBJECTIVES.add("table")
class Table(ObjectiveConfig):
    """Rows of a table as tokens (data.columns): a marker names a column, and the tokens behind it are its value.

    In a share `shuffle` of the rows the columns are in an order drawn anew at each epoch, so that the model learns each
    column given any others. The marks of rows and the end are learned; the names of columns and what follows from the
    tokens before (the day of the week) are not."""

    kind: Literal["table"] = "table"
    shuffle: float = Field(default=1.0, ge=0, le=1, description="share of rows whose columns are in any order")
    by_document: ClassVar[bool] = True
    figure: ClassVar[Figure] = FIGURE
    tries: ClassVar[tuple[str, ...]] = ("tables sample {run}", "tables evaluate {run}")

    def build(self, workshop: Workshop) -> Objective:
        return TableObjective(self, workshop)


def roles_of(tokenizer: Tokenizer) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return, for each id of a table's tokenizer, (V,) bool each: whether it names a column, whether it keeps its place
    (marks of texts and rows), and whether it follows from the tokens before. Raises ConfigError for another tokenizer.

    Example: `<|age|>` names a column, `<|age=39|>` is a value, `<|=row|>` keeps its place, `<|time after~Monday|>`
    follows from the date."""
    marker, fixed, known = (np.zeros(tokenizer.vocab_size, bool) for _ in range(3))
    usual = set(tokenizer.specials.values())
    for number in range(tokenizer.vocab_size):
        token = tokenizer.token(number)
        if number in usual:
            fixed[number] = True
        elif tokenizer.special_id(token) == number:
            name = token[2:-2]
            signs = [name.index(sign) for sign in "=~" if sign in name]
            marker[number] = not signs
            fixed[number] = name in ("=row", "=continues")
            known[number] = bool(signs) and name[min(signs)] == "~"
    if not marker.any():
        raise ConfigError(
            "the tokenizer has no tokens of a table's columns", "train on a table: lilliput tables train FILE"
        )
    return marker, fixed, known


def shuffled(
    tokens: np.ndarray, segments: np.ndarray | None, marker: np.ndarray, fixed: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Return rows (R, T) with the columns between two fixed tokens in another order.

    A group is a marker and the tokens up to the next one. Example: with markers A and B, `[bos] A 1 B 2 3 [eos]`
    becomes `[bos] B 2 3 A 1 [eos]` or stays. Where a row of the batch ends within a column, the column's part stays
    together."""
    count, length = tokens.shape
    is_fixed, opens = fixed[tokens], marker[tokens]
    if segments is not None:
        opens = opens | np.diff(segments, axis=1, prepend=segments[:, :1]).astype(bool)
    block = np.cumsum(is_fixed, axis=1) * 2 + ~is_fixed  # a fixed token is a block of its own, before what follows it
    group = np.cumsum(opens | is_fixed, axis=1)
    keys = rng.random((count, length + 1))
    place = np.take_along_axis(keys, np.minimum(group, length), axis=1)
    row = np.broadcast_to(np.arange(count)[:, None], tokens.shape)
    column = np.broadcast_to(np.arange(length), tokens.shape)
    order = np.lexsort((column.ravel(), place.ravel(), block.ravel(), row.ravel()))
    return tokens.ravel()[order].reshape(tokens.shape)
