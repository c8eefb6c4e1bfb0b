"""Categories: a code for each value of a column."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import Field

from lilliput.base.errors import DataError
from lilliput.data.columns.codec import Codec, with_zero

OTHER = "other"
MOST = 1000
"""Most values of a category. Columns of more values are text."""


class Categories(Codec):
    """A code for each value that is frequent enough, and one for all others together, which is never generated."""

    kind: Literal["categories"] = "categories"
    values: tuple[str, ...] = Field(description="the values, the most frequent first")
    others: float = Field(default=0.0, ge=0, le=1, description="share of the values that are rare")

    @property
    def labels(self) -> list[list[str]]:
        return [self.with_missing([*self.values, OTHER])]

    def encode(self, values: Sequence[str | None]) -> np.ndarray:
        known = {value: place for place, value in enumerate(self.values)}
        codes = np.array([0 if value is None else known.get(value, len(known)) for value in values], np.int64)
        return with_zero(codes[:, None], self.gone(values), self.first)

    def gone(self, values: Sequence[str | None]) -> np.ndarray:
        gone = np.array([value is None for value in values], bool)
        if gone.any() and not self.missing:
            raise DataError(
                f"row {int(np.argmax(gone)) + 1} has no value, and the column was fitted without missing values"
            )
        return gone

    def decode(self, codes: np.ndarray, rng: np.random.Generator) -> list[str | None]:
        names: list[str | None] = [*([None] if self.missing else []), *self.values, None]
        return [names[code] for code in codes[:, 0].tolist()]

    def allowed(self, condition: str) -> list[np.ndarray]:
        wanted = {part.strip() for part in condition.split("|")} if condition not in self.values else {condition}
        found = np.array([value in wanted for value in self.values])
        if condition == "" and self.missing:
            return [np.array([True, *[False] * (self.sizes[0] - 1)])]
        if not found.any():
            raise self.none_left(condition, self.values)
        return [np.array([*[False] * self.first, *found, False])]


def fit_categories(values: Sequence[str | None], rare: int) -> Categories:
    """Return the categories of values. A value of fewer than `rare` rows is not kept. Raises DataError where none is
    left."""
    counts = Counter(values)
    missing = counts.pop(None, 0)
    kept = tuple(str(value) for value, count in counts.most_common() if count >= rare)
    if not kept:
        raise DataError(
            f"no value stands in {rare:,} rows or more",
            "choose kind: text or skip for the column, or keep rarer values (rare: 1), which may name persons",
        )
    total, often = max(1, len(values)), sum(counts[value] for value in kept)
    return Categories(values=kept, missing=missing / total, others=(sum(counts.values()) - often) / total)
