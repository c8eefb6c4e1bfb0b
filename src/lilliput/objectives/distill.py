"""Distillation (Hinton et al. 2015): a student learns the likeliest next tokens of a larger teacher."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

import torch
from pydantic import Field

from lilliput.base.errors import ConfigError
from lilliput.data.document import Document
from lilliput.data.examples import TEXTS
from lilliput.data.rows import Encoded
from lilliput.model.cross_entropy import filled
from lilliput.model.sight import Sight
from lilliput.objectives.batch import Batch, Loss
from lilliput.objectives.causal import NextToken, NextTokenConfig
from lilliput.objectives.figure import BITS
from lilliput.objectives.objective import OBJECTIVES, Objective
from lilliput.objectives.reference import reference_of
from lilliput.objectives.teacher import TopK, check_fits
from lilliput.objectives.turns import encode_messages, encode_reply, options_of
from lilliput.objectives.workshop import Workshop

if TYPE_CHECKING:
    from lilliput.data.tokenizer import Tokenizer


class Distilled(NextToken):
    """Rows as the causal objective has them; the teacher reads each of them once (see TopK)."""

    config: Distill

    def __init__(self, config: Distill, workshop: Workshop):
        super().__init__(config, workshop)
        self.teacher = reference_of(workshop, config.teacher).model
        self._top: dict[int, TopK] = {}
        check_fits(self.teacher, workshop.model.config.vocab_size, 1, config.top_k)

    def prepare(self, batch: Batch) -> Batch:
        """Add `ids` and `scores`, (R, T, top_k): the teacher's likeliest tokens and their log-probabilities."""
        ids, scores = self.top(batch.length).of(batch.tokens, batch.get("segments"))
        return batch.including({"ids": ids, "scores": scores})

    def top(self, length: int) -> TopK:
        """The teacher's tokens for rows of this length."""
        if length not in self._top:
            config = self.config
            check_fits(self.teacher, self.model.config.vocab_size, length, config.top_k)
            self._top[length] = TopK(self.teacher, length, config.top_k, config.temperature)
        return self._top[length]

    def loss(self, batch: Batch) -> Loss:
        learned = batch.weights > 0
        hidden = self.view(batch.tokens, Sight(segments=batch.get("segments")))
        parts = (hidden, batch.targets, batch.weights, batch.ids, batch.scores)
        rows, targets, weights, ids, theirs = (filled(part[learned]) for part in parts)  # rows of zeros weigh nothing
        logits = self.view.logits(rows)
        # A product, and not @: under autocast @ would round the losses and their sum to bf16.
        hard = ((logits.logsumexp(-1) - logits.gather(-1, targets[:, None])[:, 0]) * weights).sum()
        ours = (logits / self.config.temperature).log_softmax(-1).gather(-1, ids)
        soft = (divergence(theirs, ours, logits.shape[-1], self.config.direction) * weights).sum()
        alpha = self.config.alpha
        total = alpha * hard + (1 - alpha) * soft + self.added(batch)
        bits = hard.detach() / math.log(2) / self.workshop.bytes_per_target
        return Loss(total, {BITS.training: bits, "hard_loss": hard.detach(), "kl": soft.detach()})

    def reported(self, loss: float) -> dict[str, float]:
        """Nothing: bits per byte are those of the hard loss alone, which `loss` gives."""
        return {}


def divergence(theirs: torch.Tensor, ours: torch.Tensor, vocab_size: int, direction: str) -> torch.Tensor:
    """(N,): the KL divergence in nats between teacher and student over k tokens and the rest of the vocabulary as one.

    theirs, ours (N, k): log-probabilities of the teacher's k likeliest tokens. With k the whole vocabulary, the
    divergence is exact; with fewer it is a lower bound of it."""
    if ours.shape[-1] < vocab_size:
        theirs, ours = (torch.cat((part, _rest(part)), -1) for part in (theirs, ours))
    first, second = (theirs, ours) if direction == "forward" else (ours, theirs)
    return (first.exp() * (first - second)).sum(-1)


def _rest(logs: torch.Tensor) -> torch.Tensor:
    """(N, 1): log(1 - sum of p). The sum is kept below 1, because rounding may bring it to 1 and more."""
    total = logs.exp().sum(-1, keepdim=True).clamp(max=1 - 1e-6)
    return torch.log1p(-total)


@OBJECTIVES.add("distill")
class Distill(NextTokenConfig):
    """The loss of a token is alpha * cross-entropy + (1 - alpha) * KL divergence, with both softmaxes at `temperature`.

    direction  forward: KL(teacher || student), the student covers all that the teacher finds likely;
               reverse: KL(student || teacher), the student keeps to the teacher's likeliest tokens
    """

    kind: Literal["distill"] = "distill"
    teacher: str = Field(min_length=1, description="the run, checkpoint or folder of the larger model")
    top_k: int = Field(default=32, ge=1, description="tokens of the teacher that are kept at each position")
    temperature: float = Field(default=1.0, gt=0, le=20, description="divides the logits of teacher and student")
    direction: Literal["forward", "reverse"] = Field(
        default="forward", description="forward: KL(teacher || student); reverse: KL(student || teacher)"
    )
    alpha: float = Field(default=0.1, ge=0, le=1, description="share of the cross-entropy of the text itself")
    examples: ClassVar[tuple[str, ...]] = ("text", "messages", "completion")

    @property
    def models(self) -> dict[str, str]:
        return {"objective.teacher": self.teacher}

    @property
    def tokenizer_from(self) -> str:
        return self.teacher

    def encode(self, documents: Sequence[Document], tokenizer: Tokenizer) -> list[Encoded]:
        plain = [each.kind in TEXTS for each in documents]
        texts = iter(
            self.encode_texts([each for each, is_text in zip(documents, plain, strict=True) if is_text], tokenizer)
        )
        return [
            next(texts) if is_text else _encoded(each, tokenizer)
            for each, is_text in zip(documents, plain, strict=True)
        ]

    def build(self, workshop: Workshop) -> Objective:
        if self.alpha == 1:
            raise ConfigError(
                "objective.alpha=1 leaves nothing to learn from the teacher", "train on the text: objective.kind=causal"
            )
        return Distilled(self, workshop)


def _encoded(document: Document, tokenizer: Tokenizer) -> Encoded:
    assert document.example is not None
    row = document.example.row
    if document.kind == "completion":
        return encode_reply(row["prompt"], row["completion"], tokenizer, **options_of(row))
    return encode_messages(row["messages"], tokenizer, **options_of(row))
