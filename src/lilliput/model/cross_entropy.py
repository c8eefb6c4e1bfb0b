"""Cross-entropy straight from hidden states: the logits exist one chunk of rows at a time, in forward and backward."""

from __future__ import annotations

from typing import Any

import torch

from lilliput.model import kernels

CHUNK_BYTES = {"cpu": 16 * 2**20}
"""The number of fp32 logits in memory at once, by device. On a CPU, a chunk that stays in cache took three quarters of
the time of a larger chunk (8,192 rows of width 256, vocabulary 4,096)."""
CHUNK_BYTES_ELSEWHERE = 512 * 2**20
CHUNK_ROWS = 512
"""The least number of rows for any vocabulary. With 256 rows the matrix products are too small, and the whole took 1.09
times as long (4,096 rows of width 288, vocabulary 32,000)."""
LIKE_ROWS = 128
"""Where only some rows are learned, their number is rounded up to a multiple of this, with rows of zeros. Blocks of few
sizes are what an allocator can use again: after 400 steps a chat run had needed 0.63 GB at most, and 1.20 GB with a
number of its own for each step."""
PROBABLE = 1e-30
"""From this probability p on, -log(p) is as exact as the difference of two logarithms."""


def chunk_rows(rows: int, vocab_size: int, device: str) -> int:
    """Return the rows of a chunk. The chunks have nearly equal sizes, so that the last chunk is not small."""
    budget = CHUNK_BYTES.get(device, CHUNK_BYTES_ELSEWHERE)
    chunks = -(-rows // max(CHUNK_ROWS, budget // (4 * vocab_size)))
    return -(-rows // max(chunks, 1)) or 1


def linear_cross_entropy(
    hidden: torch.Tensor, matrix: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor
) -> torch.Tensor:
    """sum_n weights[n] * -log softmax(matrix @ hidden[n])[targets[n]], a float32 scalar in nats.

    hidden (N, d), matrix (V, d), targets (N,) int64, weights (N,) float32 without gradient. Under autocast the products
    run in its dtype; softmax and sums are fp32. On a CPU, rows of weight 0 cost nothing.
    """
    device = hidden.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else hidden.dtype
    wanted = torch.is_grad_enabled()
    return _operator(
        hidden, matrix, targets, weights, dtype, wanted and hidden.requires_grad, wanted and matrix.requires_grad
    )[0]


def loss_and_gradients(
    hidden: torch.Tensor,
    matrix: torch.Tensor,
    targets: torch.Tensor,
    weights: torch.Tensor,
    dtype: torch.dtype,
    of_hidden: bool,
    of_matrix: bool,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(loss, d loss / d hidden, d loss / d matrix); a gradient that is not wanted is empty, and costs nothing.

    d loss / d logits = weight * (softmax(logits) - onehot(target)), so one loop over the chunks gives all three
    results, and the backward pass only scales them. This is a separate operator, because a compiler would otherwise
    unroll the loop.
    """
    learned, gradients = None, of_hidden or of_matrix
    if hidden.device.type == "cpu" and not bool(weights.all()):
        learned = weights.nonzero().squeeze(1)
        hidden_grad = torch.zeros_like(hidden) if of_hidden else hidden.new_empty(0)
        hidden, targets, weights = (filled(values[learned]) for values in (hidden, targets, weights))
        kept_grad = torch.empty_like(hidden) if of_hidden else hidden_grad
    else:
        kept_grad = hidden_grad = torch.empty_like(hidden) if of_hidden else hidden.new_empty(0)
    matrix_grad = torch.zeros_like(matrix, dtype=torch.float32) if of_matrix else matrix.new_empty(0)
    narrow = matrix.to(dtype)
    total = hidden.new_zeros((), dtype=torch.float32)
    native = gradients and hidden.device.type == "cpu" and dtype in kernels.DTYPES and kernels.available()
    walk = _native if native else _plain
    with torch.autocast(hidden.device.type, enabled=False):
        size = chunk_rows(len(hidden), len(matrix), hidden.device.type)
        for start in range(0, len(hidden), size):
            part = slice(start, start + size)
            rows, target, weight = hidden[part].to(dtype), targets[part], weights[part]
            losses, grad = walk(rows @ narrow.T, target, weight, gradients)
            total += losses @ weight
            if grad is not None and of_hidden:
                kept_grad[part] = grad @ narrow
            if grad is not None and of_matrix:
                add_product(matrix_grad, grad, rows)
    if of_hidden and learned is not None:
        hidden_grad[learned] = kept_grad[: len(learned)]
    return total, hidden_grad, matrix_grad.to(matrix.dtype)


def filled(values: torch.Tensor) -> torch.Tensor:
    """Return values (N, ...) with rows of zeros behind them, up to a multiple of LIKE_ROWS."""
    return torch.nn.functional.pad(values, (0, 0) * (values.ndim - 1) + (0, -len(values) % LIKE_ROWS))


def add_product(total: torch.Tensor, grad: torch.Tensor, rows: torch.Tensor) -> None:
    """Add grad^T @ rows to `total` (V, d) fp32. grad (N, V) and rows (N, d) are fp32 or bf16."""
    if rows.dtype == torch.float32:
        total.addmm_(grad.T, rows)  # one pass over (V, d) for three
    elif rows.device.type == "cpu" and rows.dtype in kernels.DTYPES and kernels.available():
        kernels.add(total, grad.T @ rows)
    else:
        total += grad.T @ rows


def _native(
    logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor, gradients: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Compute the same as `_plain`, in the memory of the logits."""
    return kernels.softmax_gradient(logits, targets.contiguous(), weights.contiguous()), logits


def _plain(
    logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor, gradients: bool
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """-log softmax(logits) at the targets, (rows,) fp32; and the gradient of their weighted sum by the logits."""
    dtype, logits, targets = logits.dtype, logits.float(), targets[:, None]
    probability = logits.softmax(-1)
    losses = _negative_log(probability, logits, targets).squeeze(1)
    if not gradients:
        return losses, None
    grad = probability.scatter_add_(1, targets, -torch.ones_like(targets, dtype=torch.float32))
    return losses, grad.mul_(weights[:, None]).to(dtype)


def _negative_log(probability: torch.Tensor, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """-log softmax(logits) at the targets, (rows, 1), exact however unlikely they are."""
    picked = probability.gather(1, target)
    # This saves two passes over (rows, V). A GPU does not use it, because the CPU would have to wait for its answer.
    if logits.device.type == "cpu" and bool((picked > PROBABLE).all()):
        return -picked.log()
    # The log of the summed exponentials without a second pass: the largest p is exp(largest - log of the sum).
    normaliser = logits.amax(-1, keepdim=True) - probability.amax(-1, keepdim=True).log()
    return normaliser - logits.gather(1, target)


_operator = torch.library.custom_op("lilliput::linear_cross_entropy", loss_and_gradients, mutates_args=())


@_operator.register_fake
def _shapes(hidden, matrix, targets, weights, dtype, of_hidden, of_matrix):
    gradients = [
        torch.empty_like(x) if wanted else x.new_empty(0) for x, wanted in ((hidden, of_hidden), (matrix, of_matrix))
    ]
    return hidden.new_empty((), dtype=torch.float32), *gradients


def _keep(ctx: Any, inputs: Any, output: Any) -> None:
    ctx.set_materialize_grads(False)
    ctx.wanted = inputs[-2:]
    ctx.save_for_backward(output[1], output[2])


def _scale(ctx: Any, grad: torch.Tensor, _hidden: Any, _matrix: Any) -> tuple[Any, ...]:
    scaled = [
        kept * grad.to(kept.dtype) if wanted else None
        for kept, wanted in zip(ctx.saved_tensors, ctx.wanted, strict=True)
    ]
    return *scaled, None, None, None, None, None


_operator.register_autograd(_scale, setup_context=_keep)
