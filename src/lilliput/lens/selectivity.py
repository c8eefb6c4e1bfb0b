"""Selectivity: how well one unit (a neuron, a feature, a direction) tells the tokens of a concept from all others.

The measure is the area under the ROC curve (AUC): the share of pairs (a token of the concept, another token) in which
the concept's token has the larger value. 0.5 is chance. The unit is chosen on one half of the text and measured on the
other half, because the best of a thousand units is above chance on the text that chose it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from lilliput.base.seeds import derive
from lilliput.base.statistics import interval

FEWEST = 8
"""A concept with fewer tokens in a half of the text is left out."""
PAIRED = 2000
"""At most this many tokens of a concept are bootstrapped."""


@dataclass(frozen=True, slots=True)
class Selective:
    """The best unit for a concept.

    hook, unit   its place; sign: -1 where low values mark the concept
    auc          on the held-out half, with its 95% interval (low, high) by bootstrap over the tokens of the concept
    shuffled     AUC of the best unit for shuffled labels, chosen and measured in the same way
    tokens       of the concept in the held-out half
    """

    concept: str
    hook: str
    unit: int
    sign: int
    auc: float
    low: float
    high: float
    shuffled: float
    tokens: int


def aucs(values: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return (units, concepts): the AUC of each unit for each concept, from values (M, units) and labels (M, concepts)
    bool. Equal values count as half a pair. NaN where a concept has no token, or all."""
    ranks = average_ranks(values.T.contiguous())
    counts = labels.double().sum(0)
    summed = ranks.double() @ labels.double()
    others = len(values) - counts
    return (summed - counts * (counts + 1) / 2) / (counts * others)


def average_ranks(values: torch.Tensor) -> torch.Tensor:
    """Return the ranks from 1 of the numbers in each row of (units, M). Equal numbers share their mean rank."""
    ordered = values.sort(dim=1).values
    below = torch.searchsorted(ordered, values)
    upto = torch.searchsorted(ordered, values, right=True)
    return (below + upto + 1).to(torch.float32) / 2


def best_units(
    units: Mapping[str, torch.Tensor], labels: Mapping[str, torch.Tensor], groups: torch.Tensor, seed: int = 0
) -> list[Selective]:
    """Return the best unit for each concept.

    `units` are values (M, U) at M tokens by hook point; `labels` (M,) bool by concept; `groups` (M,) int64 is the row
    of each token. Even rows choose the unit, odd rows measure it. Concepts with too few tokens are left out.
    """
    choosing = groups % 2 == 0
    names = [
        name
        for name, marked in labels.items()
        if all(int(marked[half].sum()) >= FEWEST and not marked[half].all() for half in (choosing, ~choosing))
    ]
    if not names:
        return []
    marked = torch.stack([labels[name] for name in names], dim=1)
    draw = torch.Generator().manual_seed(derive(seed, "shuffled labels") % 2**63)
    shuffled = marked[torch.randperm(len(marked), generator=draw)]
    both = torch.cat([marked, shuffled], dim=1)
    found = {hook: aucs(values[choosing], both[choosing]) for hook, values in units.items()}
    return [
        _measured(name, place, len(names), units, found, both[~choosing], ~choosing, seed)
        for place, name in enumerate(names)
    ]


def _measured(
    name: str,
    place: int,
    concepts: int,
    units: Mapping[str, torch.Tensor],
    found: Mapping[str, torch.Tensor],
    labels: torch.Tensor,
    held_out: torch.Tensor,
    seed: int,
) -> Selective:
    hook, unit, sign = _best(found, place)
    shares = placements(sign * units[hook][held_out, unit], labels[:, place])
    other_hook, other, other_sign = _best(found, concepts + place)
    control = placements(other_sign * units[other_hook][held_out, other], labels[:, concepts + place])
    low, high = interval(shares[:PAIRED].tolist(), seed)
    return Selective(
        name, hook, unit, sign, float(shares.mean()), low, high, float(control.mean()), int(labels[:, place].sum())
    )


def _best(found: Mapping[str, torch.Tensor], column: int) -> tuple[str, int, int]:
    hook = max(found, key=lambda name: float((found[name][:, column] - 0.5).abs().max()))
    away = found[hook][:, column] - 0.5
    unit = int(away.abs().argmax())
    return hook, unit, 1 if away[unit] >= 0 else -1


def placements(values: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return for each token of the concept the share of other tokens with a smaller value, from values (M,) and labels
    (M,) bool. Equal values count half. Their mean is the AUC (DeLong et al. 1988)."""
    others, own = values[~labels].sort().values, values[labels]
    below, upto = torch.searchsorted(others, own), torch.searchsorted(others, own, right=True)
    return (below + upto).double() / (2 * len(others))
