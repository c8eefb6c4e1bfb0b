"""Row losses: the loss of each token of held-out rows, and bits per byte with an interval over the rows."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from lilliput.base.errors import DataError
from lilliput.decoding.inference import inference
from lilliput.generation.text_generator import TextGenerator
from lilliput.model.transformer import Model

LOGITS = 1 << 24
"""The most logits in memory at once."""


@dataclass(frozen=True)
class HeldOut:
    """Rows of tokens, with the part of each row that is scored.

    tokens   (N, T) int64, the input of the model
    targets  (N, T) int64, the next token of each
    scored   (N, T) bool: up to the end of the row's first document
    sizes    (N, T) int64: the bytes that each target stands for, 0 where it is not scored
    """

    tokens: torch.Tensor
    targets: torch.Tensor
    scored: torch.Tensor
    sizes: torch.Tensor

    @property
    def rows(self) -> int:
        """The number of rows."""
        return len(self.tokens)

    def bits(self, losses: torch.Tensor, where: torch.Tensor | None = None) -> np.ndarray:
        """Return (N,) float64 whose mean is the bits per byte of all rows. A row's value is its bits, divided by the
        mean number of bytes of a row. Raises DataError where no byte is scored.

        losses  (N, T) nats
        where   bool that broadcasts to (N, T): the targets that count, among the scored targets; None counts all"""
        counted = self.scored if where is None else self.scored & where
        size = float((self.sizes * counted).sum())
        if not size:
            raise DataError("no byte is scored here")
        # Apple's GPUs have no float64.
        sums = (losses.cpu().double() * counted.cpu()).sum(1).numpy()
        return sums / math.log(2) * self.rows / size

    def take(self, rows: int) -> HeldOut:
        """Return the first rows."""
        return HeldOut(self.tokens[:rows], self.targets[:rows], self.scored[:rows], self.sizes[:rows])


def held_out(generator: TextGenerator, rows: torch.Tensor, most: int | None = None) -> HeldOut:
    """Return the first `most` of `rows`, (N, T) int64, to be scored. Each row begins a document and is scored up to the
    end of this document, so that padding and a second document do not count. Rows without a byte to score are left
    out. Raises DataError where no row is left."""
    device = next(generator.model.parameters()).device
    rows = rows[:most].to(device)
    tokens, targets = rows[:, :-1], rows[:, 1:]
    scored = before_end(targets, generator.tokenizer.ends, generator.tokenizer.pad_id)
    sizes = torch.as_tensor(generator.tokenizer.token_bytes(), device=device).long()[targets] * scored
    kept = sizes.sum(1) > 0
    if not kept.any():
        raise DataError("there is no held-out token to score", "give rows of at least two tokens of text")
    return HeldOut(tokens[kept], targets[kept], scored[kept], sizes[kept])


def before_end(targets: torch.Tensor, ends: Collection[int], pad: int | None) -> torch.Tensor:
    """Return (N, T) bool: the targets up to and including the first end of a text, without padding."""
    ended = torch.isin(targets, torch.tensor(sorted(ends), device=targets.device, dtype=targets.dtype))
    scored = ended.long().cumsum(1) - ended.long() == 0
    return scored if pad is None or pad in ends else scored & (targets != pad)


def token_losses(model: Model, hidden: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Return -log p(target) in nats, (N, T) float32, from final hidden states (N, T, d_model). Few rows are in memory
    as logits at once."""
    step = max(1, LOGITS // (targets.shape[1] * model.config.vocab_size))
    parts = []
    for start in range(0, len(targets), step):
        logits, right = model.logits(hidden[start : start + step]), targets[start : start + step]
        parts.append(F.cross_entropy(logits.flatten(0, 1), right.flatten(), reduction="none").view_as(right))
    return torch.cat(parts)


def losses_of(model: Model, held: HeldOut) -> torch.Tensor:
    """Return the loss of each target in nats, (N, T) float32."""
    with inference(model):
        return token_losses(model, model(held.tokens), held.targets)
