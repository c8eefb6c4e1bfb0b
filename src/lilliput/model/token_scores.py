"""Token scores: log-probabilities and entropies straight from hidden states, with the logits in memory only once."""

from __future__ import annotations

from typing import Any

import torch

from lilliput.model import kernels
from lilliput.model.cross_entropy import add_product, chunk_rows, filled


def token_scores(
    hidden: torch.Tensor, matrix: torch.Tensor, targets: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return log softmax(matrix @ hidden[n])[targets[n]], differentiable, and the entropies of these softmaxes, without
    gradient: (N,) float32 each, in nats.

    hidden (N, d), matrix (V, d), targets (N,) int64. Under autocast the products run in its dtype; softmax and sums are
    fp32. The softmax of N rows is kept for the backward pass, in the dtype of the products.
    """
    device = hidden.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else hidden.dtype
    return _TokenScores.apply(hidden, matrix, targets, dtype)  # pyright: ignore[reportReturnType]


class _TokenScores(torch.autograd.Function):
    """d score / d logits = onehot(target) - softmax(logits). It is kept in the memory of the logits, and the backward
    pass multiplies each row by the gradient of its score."""

    @staticmethod
    def forward(
        ctx: Any, hidden: torch.Tensor, matrix: torch.Tensor, targets: torch.Tensor, dtype: torch.dtype
    ) -> tuple[torch.Tensor, torch.Tensor]:
        rows, narrow, targets = filled(hidden.to(dtype)), matrix.to(dtype), filled(targets)
        with torch.autocast(hidden.device.type, enabled=False):
            logits = rows @ narrow.T
        native = hidden.device.type == "cpu" and dtype in kernels.DTYPES and kernels.available()
        scores, entropies, slopes = (_native if native else _plain)(logits, targets)
        scores, entropies = scores[: len(hidden)], entropies[: len(hidden)]
        ctx.save_for_backward(rows, narrow, slopes)
        ctx.dtypes = hidden.dtype, matrix.dtype
        ctx.mark_non_differentiable(entropies)
        return scores, entropies

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: torch.Tensor, _: Any) -> tuple[torch.Tensor | None, ...]:  # pyright: ignore
        rows, narrow, slopes = ctx.saved_tensors
        count, grad = len(grad), filled(grad)
        of_hidden, of_matrix = ctx.needs_input_grad[:2]
        hidden_grad = torch.empty_like(rows) if of_hidden else None
        matrix_grad = torch.zeros_like(narrow, dtype=torch.float32) if of_matrix else None
        size = chunk_rows(len(rows), len(narrow), rows.device.type)
        for start in range(0, len(rows), size):
            part = slice(start, start + size)
            scaled = slopes[part] * grad[part, None].to(slopes.dtype)
            if hidden_grad is not None:
                hidden_grad[part] = scaled @ narrow
            if matrix_grad is not None:
                add_product(matrix_grad, scaled, rows[part])
        hidden_grad = None if hidden_grad is None else hidden_grad[:count]
        found = zip((hidden_grad, matrix_grad), ctx.dtypes, strict=True)
        return *(None if one is None else one.to(dtype) for one, dtype in found), None, None


def _native(logits: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Compute the same as `_plain`, in the memory of the logits."""
    minus, entropies = logits.new_full(targets.shape, -1.0, dtype=torch.float32), torch.empty(len(logits))
    losses = kernels.softmax_gradient(logits, targets.contiguous(), minus, entropies)
    return -losses, entropies, logits


def _plain(logits: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """log softmax(logits) at the targets and the entropies, (N,) fp32, and onehot(target) - softmax(logits), (N, V)."""
    each = logits.float().log_softmax(-1)
    probability = each.exp()
    scores = each.gather(1, targets[:, None])[:, 0]
    entropies = -(probability * each).sum(-1)
    slopes = probability.neg_().scatter_add_(1, targets[:, None], torch.ones_like(scores)[:, None])
    return scores, entropies, slopes.to(logits.dtype)
