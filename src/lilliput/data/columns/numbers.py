"""Numbers: a code for each value, a range and the place in it, or sign and digits."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Literal

import numpy as np
from pydantic import Field

from lilliput.base.errors import ConfigError, DataError
from lilliput.data.columns.codec import Codec, bounds, with_zero

MOST_VALUES = 400
"""A column of at most so many different numbers has a code for each of them."""
RANGES, PLACES = 96, 32
"""Ranges of a column with more numbers, and places in each range. A number is drawn evenly from its place, so that
ranges of equal shares keep the distribution's form within 1 / (RANGES * PLACES)."""
HEAVY = 1 / 64
"""A number of at least this share of a column has a range of its own."""
DIGITS = "0123456789"
EXACT = 2**53
"""Whole numbers below this one have a float64 of their own."""


class Numbers(Codec):
    """What all codecs of numbers share: numbers are whole multiples of 10 ** -decimals."""

    decimals: int = Field(default=0, ge=0, le=9, description="digits after the point")

    def whole(self, values: Sequence[str | None]) -> tuple[np.ndarray, np.ndarray]:
        """Return values as whole multiples, (n,) float64, and which of them are missing, (n,) bool."""
        gone = np.array([value is None for value in values], bool)
        try:
            numbers = np.array([0.0 if value is None else float(value) for value in values], np.float64)
        except ValueError as error:
            raise DataError(
                f"a number column holds another value: {error}", "name it in the column's `missing`"
            ) from None
        if gone.any() and not self.missing:
            raise DataError(
                f"row {int(np.argmax(gone)) + 1} has no value, and the column was fitted without missing values"
            )
        whole = np.round(numbers * 10**self.decimals)
        if not (np.abs(whole) < EXACT).all():
            row = int(np.argmin(np.abs(whole) < EXACT))
            raise DataError(
                f"row {row + 1} holds {values[row]}, which is no number that can be kept to {self.decimals} decimals",
                "choose kind: category, text or skip for the column, or fewer decimals",
            )
        return whole, gone

    def spelled(self, numbers: np.ndarray, gone: np.ndarray) -> list[str | None]:
        """Return whole multiples (n,) as values."""
        texts = (f"{number / 10**self.decimals:.{self.decimals}f}" for number in numbers.tolist())
        return [None if none else text for none, text in zip(gone.tolist(), texts, strict=True)]

    def between(self, condition: str) -> tuple[float, float]:
        """Return the ends of a condition as whole multiples. Raises ConfigError for no number."""
        ends = bounds(condition) or (condition, condition)
        try:
            low, high = (float(end) if end else side for end, side in zip(ends, (-np.inf, np.inf), strict=True))
        except ValueError:
            raise ConfigError(f"'{condition}' is no number and no range", "write 30, 18..30, ..5 or 100..") from None
        return low * 10**self.decimals - 0.5, high * 10**self.decimals + 0.5


class Values(Numbers):
    """A code for each number. A rare number is coded as the nearest one that is kept."""

    kind: Literal["values"] = "values"
    values: tuple[float, ...] = Field(description="whole multiples of 10 ** -decimals, in order")

    @property
    def labels(self) -> list[list[str]]:
        return [self.with_missing([f"{value / 10**self.decimals:.{self.decimals}f}" for value in self.values])]

    def encode(self, values: Sequence[str | None]) -> np.ndarray:
        numbers, gone = self.whole(values)
        known = np.array(self.values)
        right = np.clip(np.searchsorted(known, numbers), 1, max(1, len(known) - 1))
        if len(known) == 1:
            nearest = np.zeros(len(numbers), np.int64)
        else:
            nearest = right - (numbers - known[right - 1] < known[right] - numbers)
        return with_zero(nearest[:, None].astype(np.int64), gone, self.first)

    def decode(self, codes: np.ndarray, rng: np.random.Generator) -> list[str | None]:
        codes = codes[:, 0] - self.first
        return self.spelled(np.array(self.values)[np.maximum(codes, 0)], codes < 0)

    def allowed(self, condition: str) -> list[np.ndarray]:
        if condition == "" and self.missing:
            return [np.array([True, *[False] * len(self.values)])]
        low, high = self.between(condition)
        found = (np.array(self.values) >= low) & (np.array(self.values) <= high)
        if not found.any():
            raise self.none_left(condition, self.labels[0][self.first :])
        return [np.concatenate((np.zeros(self.first, bool), found))]


class Quantiles(Numbers):
    """A range of about equal share, then the place in it. A heavy number is a range of its own, with one place."""

    kind: Literal["quantiles"] = "quantiles"
    starts: tuple[float, ...] = Field(description="the first whole multiple of each range, in order")
    last: float = Field(description="the last whole multiple of the last range")

    @cached_property
    def _ends(self) -> tuple[np.ndarray, np.ndarray]:
        """The first and the last whole multiple of each range."""
        starts = np.array(self.starts)
        return starts, np.append(starts[1:] - 1, self.last)

    @property
    def labels(self) -> list[list[str]]:
        scale = 10**self.decimals
        low, high = (ends / scale for ends in self._ends)
        names = [f"{a:.{self.decimals}f} to {b:.{self.decimals}f}" for a, b in zip(low, high, strict=True)]
        return [self.with_missing(names), self.with_missing([f"place {place}" for place in range(PLACES)])]

    def encode(self, values: Sequence[str | None]) -> np.ndarray:
        numbers, gone = self.whole(values)
        low, high = self._ends
        numbers = np.clip(numbers, low[0], high[-1])
        ranges = np.searchsorted(low, numbers, side="right") - 1
        # Example: a range of the numbers 10 to 19 and 32 places. 10 has place 0, 19 place floor(9 / 10 * 32) = 28.
        places = np.floor((numbers - low[ranges]) / (high[ranges] - low[ranges] + 1) * PLACES)
        return with_zero(np.stack((ranges, places), 1).astype(np.int64), gone, self.first)

    def decode(self, codes: np.ndarray, rng: np.random.Generator) -> list[str | None]:
        codes = codes - self.first
        low, high = self._ends
        ranges, places = np.maximum(codes[:, 0], 0), np.clip(codes[:, 1], 0, PLACES - 1)
        share = (places + rng.random(len(codes))) / PLACES
        numbers = low[ranges] + np.floor(share * (high[ranges] - low[ranges] + 1))
        return self.spelled(np.minimum(numbers, high[ranges]), codes[:, 0] < 0)

    def allowed(self, condition: str) -> list[np.ndarray]:
        if condition == "" and self.missing:
            return [np.arange(size) == 0 for size in self.sizes]
        low, high = self.between(condition)
        starts, ends = self._ends
        found = (ends >= low) & (starts <= high)
        if not found.any():
            raise self.none_left(condition, self.labels[0][self.first :])
        none = np.zeros(self.first, bool)
        return [np.concatenate((none, found)), np.concatenate((none, np.ones(PLACES, bool)))]


class Digits(Numbers):
    """The sign, then each digit from the left. Every number of so many digits can be generated, and no other."""

    kind: Literal["digits"] = "digits"
    width: int = Field(ge=1, le=18, description="digits of the largest number, those after the point included")
    signed: bool = Field(description="whether there are negative numbers")

    @property
    def labels(self) -> list[list[str]]:
        digits = [[f"{digit} at {place}" for digit in DIGITS] for place in range(self.width)]
        return list(map(self.with_missing, [["+", "-"] if self.signed else ["+"], *digits]))

    def encode(self, values: Sequence[str | None]) -> np.ndarray:
        numbers, gone = self.whole(values)
        sizes = np.minimum(np.abs(numbers), 10.0**self.width - 1).astype(np.int64)
        powers = 10 ** np.arange(self.width - 1, -1, -1, dtype=np.int64)
        digits = sizes[:, None] // powers % 10
        sign = ((numbers < 0) & self.signed).astype(np.int64)
        return with_zero(np.concatenate((sign[:, None], digits), 1), gone, self.first)

    def decode(self, codes: np.ndarray, rng: np.random.Generator) -> list[str | None]:
        codes = codes - self.first
        powers = 10 ** np.arange(self.width - 1, -1, -1, dtype=np.int64)
        sizes = (np.clip(codes[:, 1:], 0, 9) * powers).sum(1)
        return self.spelled(np.where(codes[:, 0] == 1, -sizes, sizes).astype(np.float64), codes[:, 0] < 0)

    def allowed(self, condition: str) -> list[np.ndarray]:
        if condition == "" and self.missing:
            return [np.arange(size) == 0 for size in self.sizes]
        if bounds(condition) is not None or "|" in condition:
            raise ConfigError(
                f"a column of digits takes no range: '{condition}'", "give one number, or codec: quantiles"
            )
        try:
            codes = self.encode([condition])[0]
        except DataError:
            raise ConfigError(f"'{condition}' is no number") from None
        return [np.arange(size) == code for size, code in zip(self.sizes, codes, strict=True)]


def fit_numbers(values: Sequence[str | None], decimals: int, codec: str, rare: int) -> Numbers:
    """Return the codec of numbers. Numbers beyond the `rare` largest and smallest are not kept; codec "auto" chooses
    between values and quantiles. Raises DataError for a column without numbers."""
    plain = Numbers(decimals=decimals, missing=1.0)
    numbers, gone = plain.whole(values)
    numbers, missing = np.sort(numbers[~gone]), float(gone.mean()) if len(gone) else 0.0
    if len(numbers) < 2 * rare:
        raise DataError(
            f"{len(numbers):,} numbers are too few to keep what stands in {rare:,} rows",
            "a smaller `rare` in the schema keeps rarer values, which may name persons",
        )
    kept = numbers[rare - 1 : len(numbers) - rare + 1]
    known, counts = np.unique(numbers, return_counts=True)
    given = {"decimals": decimals, "missing": missing}
    often = known[counts >= rare]
    if codec == "values" or (codec == "auto" and len(known) <= MOST_VALUES and len(often) > 0):
        if not len(often):
            raise DataError(f"no number stands in {rare:,} rows or more", "choose codec: quantiles or digits")
        return Values(values=tuple(often.tolist()), **given)
    if codec == "digits":
        most = float(np.abs(kept).max())
        return Digits(width=max(len(f"{most:.0f}"), decimals + 1), signed=bool(kept[0] < 0), **given)
    return Quantiles(starts=tuple(_starts(kept)), last=float(kept[-1]), **given)


def _starts(numbers: np.ndarray) -> list[float]:
    """Return the first number of each range of sorted numbers: heavy ones alone, the others in about equal shares."""
    known, counts = np.unique(numbers, return_counts=True)
    heavy = known[counts >= HEAVY * len(numbers)]
    light = numbers[~np.isin(numbers, heavy)]
    edges = np.quantile(light, np.linspace(0, 1, RANGES + 1)[:-1], method="lower") if len(light) else np.array([])
    starts = np.unique(np.concatenate((numbers[:1], edges, heavy, heavy + 1)))
    return starts[starts <= numbers[-1]].tolist()
