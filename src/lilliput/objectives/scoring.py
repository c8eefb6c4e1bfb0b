"""Log-probabilities of the learned tokens of rows, with the entropy of the model's predictions there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from lilliput.objectives.batch import Batch

if TYPE_CHECKING:
    from lilliput.model.transformer import Model


def log_probabilities(
    model: Model, batch: Batch, temperature: float = 1.0
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """For a batch with tokens, targets and weights (R, T), return log-probabilities (R, T) of the targets in nats, 0
    where the weight is 0; entropies (R, T) in nats, without gradient; and the hidden states (R, T, d_model).

    Logits are divided by `temperature`, so that the numbers are those of the distribution that was drawn from. They are
    computed only where the weight is not 0. Padding stands behind the real tokens, where no real position sees it."""
    hidden = model(batch.tokens)
    learned = batch.weights > 0
    logits = model.logits(hidden[learned]).float() / temperature
    scores = logits.log_softmax(-1)
    own = scores.gather(-1, batch.targets[learned][:, None])[:, 0]
    with torch.no_grad():
        spread = -(scores.exp() * scores).sum(-1)
    found, entropies = torch.zeros_like(batch.weights), torch.zeros_like(batch.weights)
    return found.masked_scatter(learned, own), entropies.masked_scatter(learned, spread), hidden
