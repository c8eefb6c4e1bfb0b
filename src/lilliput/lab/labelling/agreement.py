"""Agreement: how far two labellers of the same items agree, beside chance, by Cohen's kappa."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from lilliput.base.errors import DataError
from lilliput.base.statistics import Z
from lilliput.lab.labelling.record import Record
from lilliput.lab.labelling.store import live

Labels = Sequence[tuple[str, str]]
"""Of one item: a pair (label of the first labeller, label of the second) for each judgement in it."""


@dataclass(frozen=True)
class Kappa:
    """Agreement on `items` items with `judgements` in all.

    agreed        judgements with two equal labels
    percent       100 * agreed / judgements, with its 95% interval (Wilson 1927) at as many trials as items
    kappa         Cohen's kappa with its 95% interval; None where both labellers gave one and the same label throughout,
                  so that chance alone agrees on everything
    counts        judgements by (label of the first, label of the second)
    """

    items: int
    judgements: int
    agreed: int
    percent: float
    percent_interval: tuple[float, float]
    kappa: float | None
    interval: tuple[float, float] | None
    counts: dict[tuple[str, str], int]


def cohens_kappa(items: Sequence[Labels]) -> Kappa:
    """Cohen's kappa (1960, "A coefficient of agreement for nominal scales"): (p_o - p_e) / (1 - p_e), where p_o is the
    share of equal labels, and p_e the share that two labellers with the same habits would agree on by chance.

    The standard error is the large-sample one of Fleiss, Cohen and Everitt (1969). It is computed as the spread of each
    item's influence on kappa, so that the judgements of one item (the pairs of one ranking) count as dependent. Where
    the two never differ this error is 0; the lower bound is then kappa at the lower bound of the percentage.

    Raises DataError without a judgement."""
    labels = [pair for item in items for pair in item]
    if not labels:
        raise DataError("there is no item that both have judged")
    counts, total = Counter(labels), len(labels)
    first, second = Counter(one for one, _ in labels), Counter(other for _, other in labels)
    agreed = sum(number for (one, other), number in counts.items() if one == other)
    same = agreed / total
    chance = sum(first[name] * second[name] for name in first) / total**2
    low, high = wilson(same, len(items))
    kappa, bounds = None, None
    if 1 - chance > 1e-12:
        kappa = (same - chance) / (1 - chance)
        error = _error(items, first, second, kappa, chance, total)
        bounds = max(-1.0, kappa - Z * error), min(1.0, kappa + Z * error)
        if agreed == total:
            bounds = (low - chance) / (1 - chance), 1.0
    return Kappa(len(items), total, agreed, 100 * same, (100 * low, 100 * high), kappa, bounds, dict(counts))


def _error(
    items: Sequence[Labels], first: Counter[str], second: Counter[str], kappa: float, chance: float, total: int
) -> float:
    """The standard error of kappa. A judgement (i, j) moves kappa by its derivative to the share p_ij:
    ([i = j] - (1 - kappa) (second_i + first_j)) / (1 - chance), in shares; the items' sums of it are independent."""

    def influence(one: str, other: str) -> float:
        return ((one == other) - (1 - kappa) * (second[one] + first[other]) / total) / (1 - chance)

    mean = sum(influence(*pair) for item in items for pair in item) / total
    return math.sqrt(sum(sum(influence(*pair) - mean for pair in item) ** 2 for item in items)) / total


def wilson(share: float, count: int) -> tuple[float, float]:
    """The 95% interval of a share of `count` trials (Wilson 1927, "Probable inference"), which stays in 0 to 1."""
    middle = (share + Z**2 / (2 * count)) / (1 + Z**2 / count)
    half = Z / (1 + Z**2 / count) * math.sqrt(share * (1 - share) / count + Z**2 / (4 * count**2))
    return max(0.0, middle - half), min(1.0, middle + half)


def agreement(records: Sequence[Record]) -> list[dict[str, Any]]:
    """The agreement of every two labellers on the items that both have answered, by mode: ratings as good or bad,
    rankings as first, second or equal for each pair of replies (by their numbers, not by their places).

    `different` counts items of the same name whose replies differ, as when two machines generated them; they are left
    out. Raises DataError where no two labellers have answered the same item."""
    by_labeller: dict[tuple[str, str], dict[str, Record]] = defaultdict(dict)
    for record in live(records):
        if record.mode != "demonstrate":
            by_labeller[record.mode, record.labeller][record.item] = record
    found = []
    for (mode, one), (other_mode, other) in combinations(sorted(by_labeller), 2):
        mine, theirs = by_labeller[mode, one], by_labeller[other_mode, other]
        shared = [(mine[key], theirs[key]) for key in mine if key in theirs] if mode == other_mode else []
        same = [pair for pair in shared if pair[0].texts == pair[1].texts]
        if same:
            kappa = cohens_kappa([_labels(*pair) for pair in same])
            found.append({"mode": mode, "labellers": [one, other], "different": len(shared) - len(same), **_row(kappa)})
    if not found:
        raise DataError(
            "no two labellers have answered the same item by ranking or rating",
            "the second labeller gives the same command with another --labeller NAME",
        )
    return found


def _labels(one: Record, other: Record) -> Labels:
    return list(zip(_judgements(one), _judgements(other), strict=True))


def _judgements(record: Record) -> list[str]:
    if isinstance(record.answer, bool):
        return ["good" if record.answer else "bad"]
    assert isinstance(record.answer, tuple)
    place = {number: rank for rank, group in enumerate(record.answer) for number in group}
    names = {True: "first", False: "second"}
    return [
        "equal" if place[one] == place[other] else names[place[one] < place[other]]
        for one, other in combinations(range(len(record.candidates)), 2)
    ]


def _row(kappa: Kappa) -> dict[str, Any]:
    table: dict[str, dict[str, int]] = defaultdict(dict)
    for (one, other), number in sorted(kappa.counts.items()):
        table[one][other] = number
    return {
        "items": kappa.items,
        "judgements": kappa.judgements,
        "agreed": kappa.agreed,
        "percent": kappa.percent,
        "percent_interval": kappa.percent_interval,
        "kappa": kappa.kappa,
        "kappa_interval": kappa.interval,
        "counts": dict(table),
    }
