"""Dynamics: the likeness of layers (CKA), effective rank, sparsity and norm of activations, for models and steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from lilliput.base import seeds
from lilliput.base.errors import DataError
from lilliput.base.statistics import mean_of
from lilliput.decoding.inference import inference
from lilliput.lens.capture import capture
from lilliput.lens.row_losses import HeldOut, token_losses
from lilliput.model.transformer import Model

NEAR_ZERO = 0.01
"""An activation is near zero where it is less than this part of its layer's root mean square."""
GROUPS = 6
"""Groups of rows. The interval of a likeness is that of the mean over the groups."""


@dataclass(frozen=True)
class Activations:
    """The activations of a model at the scored positions of held-out rows.

    streams  by layer, (M, d_model): the residual stream after the layer
    neurons  by layer, (M, d_mlp): the activations of the MLP's neurons
    rows     (M,) the row of each position
    bits     (N,) bits per byte, a value for each row (see HeldOut.bits)
    """

    streams: list[torch.Tensor]
    neurons: list[torch.Tensor]
    rows: torch.Tensor
    bits: Any


def activations(model: Model, held: HeldOut) -> Activations:
    """Run a model on held-out rows and keep its activations at the scored positions, on the CPU."""
    layers = range(model.config.n_layers)
    names = ("blocks.*.hook_resid_post", "blocks.*.mlp.hook_post")
    with inference(model), capture(model, names) as seen:
        bits = held.bits(token_losses(model, model(held.tokens), held.targets))
    scored = held.scored.cpu()
    streams = [seen[f"blocks.{layer}.hook_resid_post"].cpu()[scored] for layer in layers]
    neurons = [seen[f"blocks.{layer}.mlp.hook_post"].cpu()[scored] for layer in layers]
    return Activations(streams, neurons, torch.nonzero(scored)[:, 0], bits)


def linear_cka(x: torch.Tensor, y: torch.Tensor) -> float:
    """Return the linear centred kernel alignment of two representations of the same M > 3 examples, (M, a) and (M, b):
    1 where they are equal up to rotation and scale, about 0 where they are independent, NaN where one is constant.

    Kornblith et al. 2019 (arXiv:1905.00414) with the unbiased estimator of HSIC (Song et al. 2012), as in Nguyen et al.
    2021 (arXiv:2010.15327), so that the value does not rise with the width of the layers; it may be a little below 0.
    """
    if len(x) != len(y) or len(x) < 4:
        raise DataError(f"CKA compares the same examples, at least 4 of them, and these are {len(x)} and {len(y)}")
    # The estimator does not depend on the means, and the sums lose fewer digits without them.
    x, y = x.double() - x.double().mean(0), y.double() - y.double().mean(0)
    scale = float((_hsic(x, x) * _hsic(y, y)).clamp(min=0).sqrt())
    return float(_hsic(x, y)) / scale if scale > 0 else float("nan")


def _hsic(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return HSIC_1 of Song et al. 2012 for linear kernels K = x xᵀ and L = y yᵀ with zeros on their diagonals, without
    (M, M) matrices: tr(K L) = |xᵀ y|² - Σ K_ii L_ii, and K 1 = x (xᵀ 1) - diag K."""
    count = len(x)
    k, m = (x * x).sum(1), (y * y).sum(1)
    k_sums, m_sums = x @ x.sum(0) - k, y @ y.sum(0) - m
    trace = (x.T @ y).square().sum() - k @ m
    both = k_sums.sum() * m_sums.sum() / ((count - 1) * (count - 2))
    return (trace + both - 2 * (k_sums @ m_sums) / (count - 2)) / (count * (count - 3))


def likeness(x: torch.Tensor, y: torch.Tensor, rows: torch.Tensor) -> dict[str, Any]:
    """Return the mean CKA over `GROUPS` groups of rows, or fewer where there are fewer rows, with its 95% interval by
    Student's t over the groups (None for a single group). Both are None where a group is constant.

    x (M, a), y (M, b), rows (M,)"""
    groups = rows % min(GROUPS, int(rows.max()) + 1)
    values = [linear_cka(x[groups == group], y[groups == group]) for group in groups.unique()]
    if any(value != value for value in values):
        return {"mean": None, "margin": None}
    found = mean_of(values)
    return {"mean": found.mean, "margin": found.margin}


def permuted(x: torch.Tensor, rows: torch.Tensor, seed: int = 0) -> torch.Tensor:
    """Return the examples in random order within the groups of `likeness`: the control in which nothing belongs
    together."""
    groups = rows % min(GROUPS, int(rows.max()) + 1)
    mixed = x.clone()
    for group in groups.unique().tolist():
        places = torch.nonzero(groups == group)[:, 0]
        order = seeds.generator(seed, "permuted", group).permutation(len(places))
        mixed[places] = x[places[torch.as_tensor(order, device=x.device)]]
    return mixed


def effective_rank(x: torch.Tensor) -> float:
    """Return exp(entropy) of the normalised singular values of the centred activations (M, d): 1 for points on a line,
    d for a ball (Roy and Vetterli 2007). NaN where all examples are equal."""
    values = torch.linalg.svdvals(_covariance(x)).clamp(min=0).sqrt()
    if not float(values.sum()) > 0:
        return float("nan")
    parts = values / values.sum()
    return float(torch.exp(-(parts * parts.clamp(min=1e-300).log()).sum()))


def participation_ratio(x: torch.Tensor) -> float:
    """Return (Σ λ)² / Σ λ² of the eigenvalues λ of the covariance of (M, d): the number of directions that share the
    variance, with the large ones counting more than in `effective_rank` (Gao et al. 2017, bioRxiv 214262). NaN where
    all examples are equal."""
    covariance = _covariance(x)
    square = float(covariance.square().sum())
    return float(covariance.trace()) ** 2 / square if square > 0 else float("nan")


def _covariance(x: torch.Tensor) -> torch.Tensor:
    centred = x.double() - x.double().mean(0)
    return centred.T @ centred / len(x)


def hoyer(x: torch.Tensor) -> float:
    """Return the mean sparsity of the rows of (M, d): (√d - |x|₁ / |x|₂) / (√d - 1), 0 where all numbers of a row have
    the same size and 1 where a single number is not 0 (Hoyer 2004). Rows of zeros are left out; NaN for none left."""
    x, root = x.double(), x.shape[1] ** 0.5
    size = x.norm(dim=1)
    kept = size > 0
    if x.shape[1] < 2 or not kept.any():
        return float("nan")
    return float(((root - x[kept].abs().sum(1) / size[kept]) / (root - 1)).mean())


def near_zero(x: torch.Tensor) -> float:
    """Return the share of the numbers of (M, d) whose size is less than `NEAR_ZERO` times their root mean square, or
    that are 0."""
    return float((x.abs() <= NEAR_ZERO * x.double().square().mean().sqrt()).double().mean())


def layer_figures(found: Activations) -> list[dict[str, float | None]]:
    """Return the figures of each layer: effective rank, participation ratio and mean norm of the residual stream,
    sparsity (Hoyer) and share near zero of the neurons. None stands for a figure that is not defined."""
    rows = []
    for stream, neuron in zip(found.streams, found.neurons, strict=True):
        figures = {
            "effective_rank": effective_rank(stream),
            "participation_ratio": participation_ratio(stream),
            "norm": float(stream.double().norm(dim=1).mean()),
            "hoyer": hoyer(neuron),
            "near_zero": near_zero(neuron),
        }
        rows.append({name: value if value == value else None for name, value in figures.items()})
    return rows


def layer_likeness(first: Activations, second: Activations) -> list[list[float | None]]:
    """Return the CKA of every layer of the first model (rows) with every layer of the second (columns), on the same
    text. The models may differ in width and depth. Raises DataError for activations of other positions."""
    pairs = [[linear_cka(x, y) for y in second.streams] for x in first.streams]
    return [[value if value == value else None for value in row] for row in pairs]
