"""Scoring: how far filled templates agree with the right ones, by an alignment of their trees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

import numpy as np

from lilliput.base.errors import MissingExtra
from lilliput.worlds.extraction.template import Leaf, ListOf, Node, Object


@dataclass(frozen=True, slots=True)
class Score:
    """Leaves with a value: how many agree (in parts, for texts), how many were found, and how many are right."""

    agree: float = 0.0
    found: int = 0
    right: int = 0

    def __add__(self, other: Score) -> Score:
        return Score(self.agree + other.agree, self.found + other.found, self.right + other.right)

    @property
    def precision(self) -> float:
        """The share of what was found that agrees; 1 where nothing was found."""
        return self.agree / self.found if self.found else 1.0

    @property
    def recall(self) -> float:
        """The share of what is right that was found; 1 where there was nothing to find."""
        return self.agree / self.right if self.right else 1.0

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall; 1 where nothing was there and nothing was found."""
        return 2 * self.agree / (self.found + self.right) if self.found + self.right else 1.0


def score(node: Node, found: Any, right: Any) -> Score:
    """Compare the values of a filled template with the right values. Entries of lists are matched so that most leaves
    agree, whatever their order (the assignment problem; Kuhn 1955). A leaf agrees fully or not at all; a leaf of type
    string agrees by the share of its characters that match (difflib's ratio). Null is no leaf."""
    if isinstance(node, Object):
        parts = (score(inner, _field(found, name), _field(right, name)) for name, inner in node.fields)
        return sum(parts, Score())
    if isinstance(node, ListOf):
        return _lists(node.item, found or [], right or [])
    agree = 0.0 if found is None or right is None else agreement(node, found, right)
    return Score(agree, int(found is not None), int(right is not None))


def agreement(leaf: Leaf, found: Any, right: Any) -> float:
    """Return how far two values of a leaf agree, 0 to 1. White space in texts does not count."""
    if isinstance(found, str) and isinstance(right, str):
        one, other = (" ".join(each.split()) for each in (found, right))
        return (
            SequenceMatcher(None, one, other, autojunk=False).ratio() if leaf.kind == "string" else float(one == other)
        )
    return float(found == right)


def _field(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None


def _lists(item: Leaf | Object, found: Sequence[Any], right: Sequence[Any]) -> Score:
    try:
        from scipy.optimize import linear_sum_assignment
    except ImportError:
        raise MissingExtra("scipy", "extract", "comparing lists") from None
    pairs = [[score(item, one, other) for other in right] for one in found]
    gains = np.array([[each.agree for each in row] for row in pairs]).reshape(len(found), len(right))
    chosen = list(zip(*(side.tolist() for side in linear_sum_assignment(gains, maximize=True)), strict=True))
    alone = [score(item, one, None) for one in found], [score(item, None, other) for other in right]
    agree = sum(pairs[one][other].agree for one, other in chosen)
    return Score(agree, sum(each.found for each in alone[0]), sum(each.right for each in alone[1]))
