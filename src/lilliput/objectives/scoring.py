"""Log-probabilities of the learned tokens of rows, with the entropy of the model's predictions there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from lilliput.objectives.batch import Batch

if TYPE_CHECKING:
    from lilliput.model.transformer import Model


def log_probabilities(model: Model, tokens: torch.Tensor, targets: torch.Tensor, learned: torch.Tensor) -> torch.Tensor:
    """(B, T) float32: log p(target) in nats given the tokens up to it, where `learned` (B, T) bool, and 0 elsewhere.

    tokens, targets (B, T) int64. Logits are computed for learned positions alone. Padding stands behind the real
    tokens, where no real position sees it."""
    own, _ = model.scores(model(tokens)[learned], targets[learned])
    return own.new_zeros(learned.shape).masked_scatter(learned, own)


def with_entropies(
    model: Model, batch: Batch, temperature: float = 1.0
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """For a batch with tokens, targets and weights (R, T), return log-probabilities (R, T) of the targets in nats, 0
    where the weight is 0; entropies (R, T) in nats, without gradient; and the hidden states (R, T, d_model).

    Logits are divided by `temperature`, so that the numbers are those of the distribution that was drawn from. They are
    computed only where the weight is not 0. Padding stands behind the real tokens, where no real position sees it."""
    hidden = model(batch.tokens)
    learned = batch.weights > 0
    seen = hidden[learned] if temperature == 1 else hidden[learned] / temperature  # so are its logits
    own, spread = model.scores(seen, batch.targets[learned])
    found, entropies = torch.zeros_like(batch.weights), torch.zeros_like(batch.weights)
    return found.masked_scatter(learned, own), entropies.masked_scatter(learned, spread), hidden
