"""KTO (Ethayarajh et al. 2024): replies that were rated one by one, wanted or not, beside a reference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field

from lilliput.data.document import Document
from lilliput.data.rows import Encoded, Rows
from lilliput.objectives.accepted import examples_of
from lilliput.objectives.batch import Batch, Loss
from lilliput.objectives.figure import VAL_LOSS, VALIDATION, Figure
from lilliput.objectives.objective import OBJECTIVES, Objective
from lilliput.objectives.preference import Replies, ReplyConfig, shifted, sizes_of
from lilliput.objectives.reference import ReferenceScores, keys_of, models_of, reference_of
from lilliput.objectives.scoring import log_probabilities
from lilliput.objectives.turns import encode_reply, options_of
from lilliput.objectives.workshop import HeldOut, Workshop

if TYPE_CHECKING:
    from lilliput.data.tokenizer import Tokenizer

LABEL = "label"
AT_ONCE = 8
"""Mismatched rows whose log-probabilities are computed at once."""


class Kahneman(Replies):
    """The value of a reply is how far beta * log-ratio of model and reference stands above (wanted) or below (unwanted)
    beta * KL. The KL divergence of the batch is estimated from mismatched rows: each prompt with the reply of the row
    before it."""

    config: KTO

    def __init__(self, config: KTO, workshop: Workshop):
        super().__init__(config, workshop)
        self.reference = ReferenceScores(reference_of(workshop, config.reference).model)

    def batch(self, rows: Rows, rng: np.random.Generator) -> Batch:
        """Rows of one sequence: tokens, targets, weights (R, 1, T), lengths (R, 1), wanted (R,) bool; and the same of
        mismatched rows under names that begin with `other_`.

        `shares` (R,) are R over the wanted rows of the batch for a wanted row, R over the unwanted rows for others, so
        that a metric of the wanted alone is a sum over R rows, as the other metrics are."""
        wanted = torch.tensor([bool(columns[0][LABEL]) for columns in rows.columns])
        counts = torch.where(wanted, wanted.sum(), (~wanted).sum())
        others = shifted(mismatched(rows)).fields
        return shifted(rows).including(
            {
                "keys": keys_of(rows),
                "wanted": wanted,
                "shares": len(wanted) / counts,
                **{f"other_{name}": part for name, part in others.items()},
            }
        )

    def weight(self, batch: Batch) -> float:
        """The number of completions."""
        return float(len(batch))

    def prepare(self, batch: Batch) -> Batch:
        """Add `reference` (R,), and `kl` (R,), one estimate for the whole batch."""
        names = ("other_tokens", "other_targets", "other_weights")
        gains = []
        for part in batch.split(AT_ONCE) if self.config.loss_type == "kto" else ():
            tokens, targets, weights = (part[name][:, 0] for name in names)
            ours, theirs = (
                log_probabilities(model, tokens, targets, weights > 0).sum(-1)
                for model in (self.model, self.reference.model)
            )
            gains.append(ours - theirs)
        kl = torch.cat(gains).mean().clamp(min=0) if gains else torch.zeros((), device=batch.tokens.device)
        own = {name: part for name, part in batch.fields.items() if not name.startswith("other_")}
        reference = self.reference.of(batch)[:, 0]
        return Batch(columns=batch.columns, **own, reference=reference, kl=kl.expand(len(batch)))

    def losses(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """(R,) each: losses, rewards, log-probabilities."""
        parts = (batch.tokens[:, 0], batch.targets[:, 0], batch.weights[:, 0] > 0)
        scores = log_probabilities(self.view, *parts).sum(-1)
        config, gained = self.config, scores - batch.reference
        sign = torch.where(batch.wanted, 1.0, -1.0)
        values = torch.sigmoid(config.beta * sign * (gained - batch.kl))
        weights = torch.where(batch.wanted, config.desirable_weight, config.undesirable_weight)
        return weights * (1 - values), (config.beta * gained).detach(), scores.detach()

    def loss(self, batch: Batch) -> Loss:
        losses, rewards, scores = self.losses(batch)
        metrics = {"kl": batch.kl.sum()}
        for side, rows in (("chosen", batch.wanted), ("rejected", ~batch.wanted)):
            if bool(rows.any()):
                metrics[f"rewards/{side}"] = (rewards * batch.shares)[rows].sum()
                metrics[f"logps/{side}"] = (scores * batch.shares)[rows].sum()
        return Loss(losses.sum() + self.added(batch), metrics)

    def evaluate(self, held: HeldOut) -> dict[str, float]:
        """The mean loss, and means over the wanted and the unwanted completions apart."""
        found: list[torch.Tensor] = []
        view, self.view = self.view, self.model
        try:
            for batch in held.batches(self):
                with self.measuring():
                    found.append(torch.stack((*self.losses(batch), batch.kl, batch.wanted.float())).cpu())
        finally:
            self.view = view
        losses, rewards, scores, kl, wanted = torch.cat(found, 1)
        figures = {VAL_LOSS: losses.mean(), f"{VALIDATION}kl": kl.mean()}
        for side, rows in (("chosen", wanted > 0), ("rejected", wanted == 0)):
            if rows.any():
                figures[f"{VALIDATION}rewards/{side}"] = rewards[rows].mean()
                figures[f"{VALIDATION}logps/{side}"] = scores[rows].mean()
        if f"{VALIDATION}rewards/chosen" in figures and f"{VALIDATION}rewards/rejected" in figures:
            gap = figures[f"{VALIDATION}rewards/chosen"] - figures[f"{VALIDATION}rewards/rejected"]
            figures[f"{VALIDATION}rewards/margins"] = gap
        return {name: float(value) for name, value in figures.items()}


def mismatched(rows: Rows) -> Rows:
    """Each prompt with the reply of the row before it; the first prompt gets the last reply. Rows of one sequence; a
    reply loses the part of it that does not fit a row."""
    # Example: the rows [p p | a b] and [q | c] (prompts before the bar) become [p p | c] and [q | a b].
    tokens, learn = np.zeros_like(rows.tokens), np.zeros_like(rows.learn)
    segments = np.full(tokens.shape, -1)
    sizes, begins = sizes_of(rows)[:, 0], rows.learn[:, 0].argmax(-1)
    length = tokens.shape[-1]
    for row in range(len(tokens)):
        other, begin = row - 1, int(begins[row])
        taken = slice(int(begins[other]), int(sizes[other]))
        stop = min(length, begin + taken.stop - taken.start)
        tokens[row, 0, :begin] = rows.tokens[row, 0, :begin]
        tokens[row, 0, begin:stop] = rows.tokens[other, 0, taken][: stop - begin]
        learn[row, 0, begin:stop] = rows.learn[other, 0, taken][: stop - begin]
        segments[row, 0, :stop] = 0
    return Rows(tokens, learn, segments)


@OBJECTIVES.add("kto")
class KTO(ReplyConfig):
    """Replies with a mark of wanted or unwanted, without pairs.

    loss_type  with r the log-ratio of model and reference:
               kto                1 - sigmoid(beta (r - KL)) for wanted, 1 - sigmoid(beta (KL - r)) for unwanted replies
               apo_zero_unpaired  the same with 0 for KL (D'Oosterlinck et al. 2024), and without mismatched rows
    """

    kind: Literal["kto"] = "kto"
    loss_type: Literal["kto", "apo_zero_unpaired"] = Field(
        default="kto", description="the loss of a reply: kto or apo_zero_unpaired"
    )
    beta: float = Field(default=0.1, gt=0, description="how near the model stays to its reference: more is nearer")
    desirable_weight: float = Field(default=1.0, gt=0, description="weight of the losses of wanted replies")
    undesirable_weight: float = Field(
        default=1.0,
        gt=0,
        description="weight of the losses of unwanted replies; choose both so that weight times number of rows is "
        "about equal on both sides",
    )
    reference: str | None = Field(
        default=None, description="the run or folder of the frozen model; null: the weights that the run began with"
    )
    examples: ClassVar[tuple[str, ...]] = ("rating",)
    figure: ClassVar[Figure] = Figure("loss", VAL_LOSS, "units of its loss")

    @property
    def models(self) -> dict[str, str]:
        return models_of(self.reference)

    def encode(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, documents: Sequence[Document], tokenizer: Tokenizer
    ) -> list[list[Encoded]]:
        made = []
        for example in examples_of(documents, self):
            row = example.row
            reply = encode_reply(row["prompt"], row["completion"], tokenizer, **options_of(row))
            made.append([Encoded(reply.ids, reply.learn, {LABEL: bool(row[LABEL])})])
        return made

    def build(self, workshop: Workshop) -> Objective:
        return Kahneman(self, workshop)
