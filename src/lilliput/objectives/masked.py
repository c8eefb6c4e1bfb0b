"""Masked language modelling: predict hidden tokens from both sides (BERT, Devlin et al. 2019)."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field

from lilliput.base.errors import ConfigError
from lilliput.data.rows import Rows
from lilliput.model.sight import Sight
from lilliput.objectives.batch import Batch, Loss
from lilliput.objectives.figure import VAL_LOSS, Figure
from lilliput.objectives.objective import OBJECTIVES, Family, Objective, ObjectiveConfig
from lilliput.objectives.workshop import HeldOut, Workshop

if TYPE_CHECKING:
    from lilliput.data.tokenizer import Tokenizer

INSIDE = re.compile(r"[\w'\u2019]")
FIGURE = Figure("masked_bits_per_byte", "val_masked_bits_per_byte", "bits a masked byte")


class Hiding:
    """Hides tokens. Most are replaced by the mask token, some by a random token, and the others stay.

    fraction          share of the tokens that are hidden
    masked, replaced  of these, the shares that the mask token and a random token replace
    whole_words       whether the tokens of a word are hidden together

    Raises ConfigError for a tokenizer without a mask token, and where masked + replaced is above 1."""

    def __init__(
        self, tokenizer: Tokenizer, fraction: float, masked: float, replaced: float, whole_words: bool = False
    ):
        if masked + replaced > 1:
            raise ConfigError(f"objective.masked + objective.replaced is {masked + replaced:g}, and may be 1 at most")
        if "mask" not in tokenizer.specials:
            raise ConfigError(
                "the tokenizer has no mask token (<|mask|>, <mask> or [MASK]), which this objective needs",
                "leave out tokenizer.path: a tokenizer that is trained for this objective has one",
            )
        self.mask = tokenizer.specials["mask"]
        self.fraction, self.masked, self.replaced = fraction, masked, replaced
        special = set(tokenizer.specials.values())
        self.ordinary = np.array([number for number in range(tokenizer.vocab_size) if number not in special])
        self.inside = inside_words(tokenizer) if whole_words else None

    def hide(self, ids: np.ndarray, learn: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """ids and learn (B, T) -> the ids with hidden tokens replaced, and (B, T) bool: the hidden ones, which are
        among those that may be learned."""
        drawn, kind = rng.random(ids.shape), rng.random(ids.shape)
        if self.inside is not None:
            first = word_firsts(self.inside[ids])
            drawn, kind = np.take_along_axis(drawn, first, 1), np.take_along_axis(kind, first, 1)
        chosen = (drawn < self.fraction) & (learn > 0)
        others = self.ordinary[rng.integers(len(self.ordinary), size=ids.shape)]
        masked = chosen & (kind < self.masked)
        replaced = chosen & ~masked & (kind < self.masked + self.replaced)
        return np.where(masked, self.mask, np.where(replaced, others, ids)), chosen


class MaskedToken(Objective):
    """Some tokens of each row are targets. Most targets are replaced by the mask token, some by a random token, and the
    other targets stay. Every position sees the whole row, or its own document where rows have segments. The choice of
    the hidden tokens depends on (seed, place of the rows) alone."""

    config: Masked

    def __init__(self, config: Masked, workshop: Workshop):
        super().__init__(config, workshop)
        tokenizer = workshop.tokenizer
        self.hiding = Hiding(tokenizer, config.fraction, config.masked, config.replaced, config.whole_words)
        self.sizes = torch.from_numpy(tokenizer.token_bytes()).float()

    def batch(self, rows: Rows, rng: np.random.Generator) -> Batch:
        """The last id of each row is left out, because the next row begins with it. `sizes` are the UTF-8 bytes of each
        target."""
        targets = rows.tokens[:, :-1]
        tokens, chosen = self.hiding.hide(targets, rows.learn[:, :-1], rng)
        right = torch.from_numpy(np.ascontiguousarray(targets))
        segments = None if rows.segments is None else torch.from_numpy(np.ascontiguousarray(rows.segments[:, :-1]))
        weights = torch.from_numpy(chosen.astype(np.float32))
        return Batch(torch.from_numpy(tokens), right, weights, segments=segments, sizes=self.sizes[right] * weights)

    def loss(self, batch: Batch) -> Loss:
        hidden = self.view(batch.tokens, Sight(causal=False, segments=batch.get("segments")))
        at = batch.weights > 0  # logits of a sixth of the positions, and not of all
        return Loss(self.view.loss(hidden[at], batch.targets[at], batch.weights[at]))

    def reported(self, loss: float) -> dict[str, float]:
        return {FIGURE.training: loss / math.log(2) / self.workshop.bytes_per_target}

    def evaluate(self, held: HeldOut) -> dict[str, float]:
        """Return the bits for each byte of the hidden tokens, and the share of the hidden tokens that the model ranks
        first."""
        nats = size = right = count = 0.0
        for batch in held.batches(self):
            with self.measuring():
                hidden = self.model(batch.tokens, Sight(causal=False, segments=batch.get("segments")))
                at = batch.weights > 0
                nats += float(self.model.loss(hidden[at], batch.targets[at], batch.weights[at]))
                right += float((self.model.logits(hidden[at]).argmax(-1) == batch.targets[at]).sum())
            size, count = size + float(batch.sizes.sum()), count + float(batch.weights.sum())
        return {
            VAL_LOSS: nats / max(count, 1.0),
            FIGURE.validation: nats / math.log(2) / max(size, 1.0),
            "val_masked_accuracy": right / max(count, 1.0),
        }


@OBJECTIVES.add("masked")
class Masked(ObjectiveConfig):
    """A model that reads in both directions and fills in hidden tokens. It generates no text.

    fraction  share of the tokens that are targets
    masked    share of the targets that are replaced by the mask token
    replaced  share of the targets that are replaced by a random token; the rest stay as they are
    whole_words  whether the tokens of a word are hidden together (BERT's whole-word masking). A word begins at a token
                 that begins with white space or is no continuation of letters or digits
    """

    kind: Literal["masked"] = "masked"
    fraction: float = Field(default=0.15, gt=0, lt=1, description="share of the tokens that are targets")
    masked: float = Field(default=0.8, ge=0, le=1, description="share of the targets replaced by the mask token")
    replaced: float = Field(default=0.1, ge=0, le=1, description="share of the targets replaced by a random token")
    whole_words: bool = Field(default=False, description="hide all tokens of a word together, by one draw a word")
    trains: ClassVar[tuple[Family, ...]] = ("encoder",)
    specials: ClassVar[tuple[str, ...]] = ("mask",)
    figure: ClassVar[Figure] = FIGURE
    tries: ClassVar[tuple[str, ...]] = (
        'fill {run} "It was a [MASK] day."',
        'embed {run} "a day" "a night" --near "a week"',
    )

    def build(self, workshop: Workshop) -> Objective:
        return MaskedToken(self, workshop)


def inside_words(tokenizer: Tokenizer) -> np.ndarray:
    """(vocab_size,) bool: the tokens that continue a word: their text begins with a letter, a digit or an
    apostrophe."""
    texts = (tokenizer.decode([number], continuing=True) for number in range(tokenizer.vocab_size))
    special = set(tokenizer.specials.values())
    return np.array(
        [bool(INSIDE.match(text)) and number not in special for number, text in enumerate(texts)], dtype=bool
    )


def word_firsts(inside: np.ndarray) -> np.ndarray:
    """inside (B, T) bool -> (B, T) int64: the place of the first token of each token's word.

    >>> word_firsts(np.array([[False, True, False, True, True]]))
    array([[0, 0, 2, 2, 2]])
    """
    places = np.where(inside, 0, np.arange(inside.shape[1]))
    return np.maximum.accumulate(places, axis=1)
