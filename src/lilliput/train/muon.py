"""Muon: momentum orthogonalised by Newton-Schulz iteration, for the matrices of the blocks, batched by shape."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import torch

# Quintic coefficients of Jordan et al. 2024 (https://kellerjordan.github.io/posts/muon): steep at zero, so that
# five iterations bring every singular value to about one.
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5


def orthogonalise(matrices: torch.Tensor) -> torch.Tensor:
    """(N, A, B) float32 -> (N, A, B) with the same singular vectors and singular values near 1."""
    a, b, c = COEFFICIENTS
    x = matrices.transpose(-1, -2) if matrices.shape[-2] > matrices.shape[-1] else matrices
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp_min(1e-7)
    for _ in range(ITERATIONS):
        gram = x @ x.transpose(-1, -2)
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.transpose(-1, -2) if matrices.shape[-2] > matrices.shape[-1] else x


class Muon(torch.optim.Optimizer):
    """Muon with Nesterov momentum and decoupled weight decay.

    A parameter that stores several matrices stacked by rows (fused queries, keys and values) carries their row
    counts in an attribute `parts`; each is orthogonalised on its own, as if it were stored apart. Matrices of
    one shape share one batched product, which is what makes the iterations cheap on small models.
    """

    def __init__(self, params: Iterable[Any], lr: float = 0.02, momentum: float = 0.95, weight_decay: float = 0.0):
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        if closure is not None:
            raise ValueError("Muon takes no closure")
        for group in self.param_groups:
            self._step(group)

    def _step(self, group: dict[str, Any]) -> None:
        params = [p for p in group["params"] if p.grad is not None]
        if not params:
            return
        for p in params:
            if "momentum_buffer" not in self.state[p]:
                self.state[p]["momentum_buffer"] = torch.zeros_like(p)
        grads = [p.grad for p in params]
        buffers = [self.state[p]["momentum_buffer"] for p in params]
        torch._foreach_lerp_(buffers, grads, 1 - group["momentum"])
        updates = torch._foreach_lerp(grads, buffers, group["momentum"])
        if group["weight_decay"]:
            torch._foreach_mul_(params, 1 - group["lr"] * group["weight_decay"])

        by_shape: dict[torch.Size, list[tuple[torch.Tensor, torch.Tensor]]] = defaultdict(list)
        for p, update in zip(params, updates, strict=True):
            parts = getattr(p, "parts", (p.shape[0],))
            for weight, matrix in zip(p.split(parts), update.split(parts), strict=True):
                by_shape[weight.shape].append((weight, matrix))
        for shape, pairs in by_shape.items():
            directions = orthogonalise(torch.stack([matrix for _, matrix in pairs]))
            # A tall matrix takes a larger step, so that its output changes as much as a wide one's does (Jordan).
            scale = -group["lr"] * max(1.0, shape[0] / shape[1]) ** 0.5
            torch._foreach_add_([weight for weight, _ in pairs], list(directions.unbind()), alpha=scale)
