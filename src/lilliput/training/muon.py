"""Muon: momentum orthogonalised by Newton-Schulz iteration, for the matrices of the blocks, batched by shape."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch

# Quintic coefficients of Jordan et al. 2024 (https://kellerjordan.github.io/posts/muon): steep at zero, so that
# five iterations bring every singular value to about one.
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5
GRAM_FROM = 1.5
"""From this ratio of sides on, iterating on the small Gram matrix takes fewer products than on the matrix itself."""


def orthogonalise(matrices: torch.Tensor, bf16: bool = False) -> torch.Tensor:
    """(N, A, B) float32 -> (N, A, B) float32 with the same singular vectors and singular values near 1. The iterations
    run in fp32, or in bf16, as Jordan's do."""
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if tall else matrices
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp_min(1e-7)
    if bf16:
        x = _iterate(x.bfloat16()).float()
    else:
        x = _iterate_gram(x) if x.shape[-1] >= GRAM_FROM * x.shape[-2] else _iterate(x)
    return x.mT if tall else x


def _iterate(x: torch.Tensor) -> torch.Tensor:
    """X <- (a + b X X' + c (X X')²) X, repeated."""
    a, b, c = COEFFICIENTS
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x


def _iterate_gram(x: torch.Tensor) -> torch.Tensor:
    """Compute the same from G = X X' alone. X <- Q X makes G <- Q G Q, so X is multiplied only once, at the end. All Qs
    and Gs are polynomials of the first G, so they commute. Needs fp32: G has the squares of the singular values. On a
    CPU it took 0.69 of the time (3 matrices of 128 x 352, 6 of 352 x 128)."""
    a, b, c = COEFFICIENTS
    gram, total = x @ x.mT, None
    for iteration in range(ITERATIONS):
        q = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        q.diagonal(dim1=-2, dim2=-1).add_(a)
        total = q if total is None else q @ total
        if iteration < ITERATIONS - 1:
            gram = q @ (q @ gram)
    assert total is not None
    return total @ x


class Muon(torch.optim.Optimizer):
    """Muon with Nesterov momentum and decoupled weight decay.

    Parameters are (outputs, inputs) or (experts, outputs, inputs): each expert's matrix is orthogonalised by itself.
    `stacked` gives, for a parameter that stores several matrices one below the other (fused queries, keys and values),
    their row counts; each of these matrices is orthogonalised by itself too, as if it were stored separately. Matrices
    of one shape share one batched product, so the iterations are cheap on small models. With `bf16` the iterations run
    in bf16.

    Raises ValueError for a parameter of another number of dimensions.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 0.02,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
        bf16: bool = False,
        stacked: Mapping[torch.Tensor, Sequence[int]] | None = None,
    ):
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        self.bf16 = bf16
        self._stacked = dict(stacked or {})
        for parameter in (parameter for group in self.param_groups for parameter in group["params"]):
            if parameter.dim() not in (2, 3):
                raise ValueError(f"Muon steps matrices, and a parameter has the shape {tuple(parameter.shape)}")

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
            for weight, matrix in zip(self._matrices(p, p), self._matrices(p, update), strict=True):
                by_shape[weight.shape].append((weight, matrix))
        for shape, pairs in by_shape.items():
            directions = orthogonalise(torch.stack([matrix for _, matrix in pairs]), self.bf16)
            # A tall matrix takes a larger step, so that its output changes as much as the output of a wide matrix
            # (Jordan).
            scale = -group["lr"] * max(1.0, shape[0] / shape[1]) ** 0.5
            torch._foreach_add_([weight for weight, _ in pairs], list(directions.unbind()), alpha=scale)

    def _matrices(self, parameter: torch.Tensor, values: torch.Tensor) -> list[torch.Tensor]:
        """Views of the single matrices in `values`, which has the parameter's shape: for a weight of 4 experts that
        stacks 2 matrices, 8 of them."""
        pieces = values.split(list(self._stacked.get(parameter) or (values.shape[-2],)), dim=-2)
        return [matrix for piece in pieces for matrix in (piece.unbind() if piece.dim() == 3 else (piece,))]
