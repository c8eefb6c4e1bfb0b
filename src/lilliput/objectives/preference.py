"""Pairs: the base of the objectives that learn from a chosen and a rejected reply to one prompt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import torch

from lilliput.data.document import Document
from lilliput.data.rows import Encoded, Rows
from lilliput.objectives.accepted import examples_of
from lilliput.objectives.batch import Batch, Loss
from lilliput.objectives.causal import NextTokenConfig
from lilliput.objectives.figure import VAL_LOSS, Figure
from lilliput.objectives.objective import Objective
from lilliput.objectives.scoring import log_probabilities
from lilliput.objectives.turns import encode_reply, first_request, options_of, replies_to

if TYPE_CHECKING:
    from lilliput.data.tokenizer import Tokenizer
    from lilliput.objectives.workshop import Texts


class ReplyConfig(NextTokenConfig):
    """The base of objectives on whole replies: a row is one document, and the prompt is not learned."""

    rows: ClassVar[Literal["packed", "documents"]] = "documents"

    def opening(self, tokenizer: Tokenizer, ids: Sequence[int]) -> str:
        return first_request(tokenizer, ids) if tokenizer.chat_template else super().opening(tokenizer, ids)


class Replies(Objective):
    """The base of objectives on whole replies. A model with a chat template is shown by its replies."""

    def samples(self, prompts: Sequence[str], generate: Texts) -> list[str]:
        if self.workshop.tokenizer.chat_template:
            return replies_to(prompts, generate)
        return super().samples(prompts, generate)


class PreferenceConfig(ReplyConfig):
    """The base of objectives on pairs: a document is the sequences prompt + chosen and prompt + rejected."""

    examples: ClassVar[tuple[str, ...]] = ("preference",)
    figure: ClassVar[Figure] = Figure("loss", VAL_LOSS, "nats a pair")

    def encode(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, documents: Sequence[Document], tokenizer: Tokenizer
    ) -> list[list[Encoded]]:
        rows = [example.row for example in examples_of(documents, self)]
        return [
            [encode_reply(row["prompt"], row[side], tokenizer, **options_of(row)) for side in ("chosen", "rejected")]
            for row in rows
        ]


@dataclass(frozen=True, slots=True)
class Pair:
    """Log-probabilities of both replies of R pairs, (R,) in nats, and their learned tokens, (R,)."""

    chosen: torch.Tensor
    rejected: torch.Tensor
    chosen_tokens: torch.Tensor
    rejected_tokens: torch.Tensor


class Pairs(Replies):
    """A batch is R pairs; both replies of all pairs go through the model in one forward pass of 2R rows."""

    def batch(self, rows: Rows, rng: np.random.Generator) -> Batch:
        return shifted(rows)

    def weight(self, batch: Batch) -> float:
        """The number of pairs."""
        return float(len(batch))

    def pair(self, batch: Batch) -> Pair:
        """The log-probabilities of both replies under the model in training."""
        tokens, targets, weights = (part.flatten(0, 1) for part in (batch.tokens, batch.targets, batch.weights))
        scores = log_probabilities(self.view, tokens, targets, weights > 0).view(batch.weights.shape).sum(-1)
        return Pair(*scores.unbind(1), *batch.weights.sum(-1).unbind(1))

    def outcome(
        self,
        losses: torch.Tensor,
        batch: Batch,
        rewards: tuple[torch.Tensor, torch.Tensor],
        scores: tuple[torch.Tensor, torch.Tensor],
        **further: torch.Tensor,
    ) -> Loss:
        """The Loss of R pairs from their `losses`, with TRL's metrics of the `rewards` and `scores` (log-probabilities)
        of chosen and rejected replies, (R,) each, and of `further` values (R,), whose `__` stands for a slash."""
        (chosen, rejected), (high, low) = [part.detach() for part in rewards], [part.detach() for part in scores]
        metrics = {
            "rewards/chosen": chosen,
            "rewards/rejected": rejected,
            "rewards/accuracies": (chosen > rejected).float(),
            "rewards/margins": chosen - rejected,
            "logps/chosen": high,
            "logps/rejected": low,
            **further,
        }
        return Loss(losses.sum() + self.added(batch), {name: value.detach().sum() for name, value in metrics.items()})


def shifted(rows: Rows) -> Batch:
    """Rows of S sequences as tokens, targets, weights (R, S, T) with lengths (R, S), where T is the longest sequence of
    the batch, less one: rows are padded to the model's context, and padding costs as much as text."""
    sizes = sizes_of(rows)
    longest = max(2, int(sizes.max()))
    parts = (rows.tokens[..., : longest - 1], rows.tokens[..., 1:longest], rows.learn[..., 1:longest])
    tokens, targets, weights = (torch.from_numpy(np.ascontiguousarray(part)) for part in parts)
    return Batch(tokens, targets, weights, lengths=torch.from_numpy(sizes - 1))


def sizes_of(rows: Rows) -> np.ndarray:
    """(R, S) int64: the ids of each sequence, without padding."""
    assert rows.segments is not None, "a row is a document"
    return (rows.segments == 0).sum(-1)
