"""Matching of features: which feature of one coder is which of another, across sizes, layers, seeds and steps.

Two coders of one hook width are matched by the cosine of their decoder rows. Any two coders, of models of any size, are
matched by the correlation of their activations on the same text. Each has a shuffled control, because the best of many
matches is good by chance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F

from lilliput.base.errors import ModelError
from lilliput.base.seeds import derive
from lilliput.base.statistics import interval
from lilliput.lens.sparse import SparseCoder, collect_pair, dense
from lilliput.model.transformer import Model

LIKE = 0.7
"""A feature whose best match is at least so similar counts as found again (Paulo and Belrose 2025 use 0.7)."""
LIVING = 5
"""A feature that fires at fewer tokens of the text is left out of correlations."""


@dataclass(frozen=True)
class Matching:
    """For each feature of the first coder, its best match in the second.

    features     (n,) numbers of the matched features of the first coder
    partners     (n,) numbers of their best matches
    similarity   (n,) cosine or correlation
    mutual       (n,) bool: whether the partner's best match is the feature
    control      (n,) similarity of the best match after shuffling the second coder
    """

    features: torch.Tensor
    partners: torch.Tensor
    similarity: torch.Tensor
    mutual: torch.Tensor
    control: torch.Tensor

    def figures(self, seed: int = 0) -> dict[str, Any]:
        """Mean similarity with its interval, the shares that are found again and mutual, and the same of the
        control."""
        return {
            "features": len(self.features),
            "similarity": _with_interval(self.similarity, seed),
            "similarity_shuffled": _with_interval(self.control, seed),
            "found_again": round(float((self.similarity >= LIKE).float().mean()), 4),
            "found_again_shuffled": round(float((self.control >= LIKE).float().mean()), 4),
            "mutual": round(float(self.mutual.float().mean()), 4),
        }


def match_directions(first: SparseCoder, second: SparseCoder, seed: int = 0) -> Matching:
    """Match by the cosine of decoder rows. The control shuffles the numbers within each row of the second, which keeps
    their sizes. Raises ModelError for coders of other widths of activation."""
    if first.decoder.shape[1] != second.decoder.shape[1]:
        raise ModelError(
            f"the directions have {first.decoder.shape[1]} and {second.decoder.shape[1]} numbers",
            "match features of models of other widths by their activations: match_activations",
        )
    mine, others = F.normalize(first.decoder), F.normalize(second.decoder)
    order = torch.rand(others.shape, generator=_draw(seed)).argsort(dim=1).to(others.device)
    shuffled = others.gather(1, order)
    return _matching(mine @ others.T, mine @ shuffled.T, torch.arange(first.width), torch.arange(second.width))


def match_activations(
    first: SparseCoder,
    model: Model,
    second: SparseCoder,
    other: Model,
    rows: torch.Tensor,
    seed: int = 0,
) -> Matching:
    """Match by Pearson's correlation of activations on the same token rows (N, T), which both models read. The control
    shuffles the tokens of the second. Features that fire at fewer than 5 tokens are left out. Raises ModelError where
    too few features fire."""
    mine, which = _standard(first, model, rows)
    others, whose = _standard(second, other, rows)
    order = torch.randperm(len(others), generator=_draw(seed)).to(others.device)
    return _matching(mine.T @ others / len(mine), mine.T @ others[order] / len(mine), which, whose)


def _standard(coder: SparseCoder, model: Model, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The activations (M, n) of the living features with mean 0 and variance 1, and the features' numbers (n,)."""
    inputs, _ = collect_pair(model, rows, coder.reads, coder.writes)
    values = dense(coder.encode(inputs), coder.width)
    living = ((values > 0).sum(0) >= LIVING).nonzero().flatten()
    if not len(living):
        raise ModelError("no feature fires at 5 tokens of this text", "give more rows")
    kept = values[:, living]
    kept = kept - kept.mean(0)
    return kept / kept.square().mean(0).sqrt().clamp(min=1e-12), living


def _matching(similarity: torch.Tensor, shuffled: torch.Tensor, which: torch.Tensor, whose: torch.Tensor) -> Matching:
    best, places = similarity.max(dim=1)
    back = similarity.argmax(dim=0)
    mutual = back[places] == torch.arange(len(places), device=places.device)
    return Matching(which, whose[places.to(whose.device)], best, mutual, shuffled.max(dim=1).values)


def _with_interval(values: torch.Tensor, seed: int) -> Mapping[str, float]:
    low, high = interval(values.tolist(), seed)
    return {"mean": round(float(values.mean()), 4), "low": round(low, 4), "high": round(high, 4)}


def _draw(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(derive(seed, "feature matching") % 2**63)
