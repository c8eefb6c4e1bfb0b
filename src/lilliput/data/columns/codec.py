"""Codec: the contract of everything that turns the values of one column into codes of a few parts and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from lilliput.base.config import Config
from lilliput.base.errors import ConfigError

MISSING = 0
"""The code, in each part, of a value that is missing. A column without missing values has no such code."""


class Codec(Config):
    """A column's codec, as it was fitted to a table. It holds what `decode` needs and no row.

    A value is one code in each of the codec's parts. Codes of a part are 0 to the part's size - 1. Where `missing` is
    true, code 0 of each part means that the value is missing, and a value has it in all parts or in none.
    """

    kind: Any = None
    missing: float = Field(default=0.0, ge=0, le=1, description="share of the values that are missing")
    open: ClassVar[bool] = False
    """Whether a value is a text of any length, which is tokenised, and has no parts."""

    @property
    def labels(self) -> list[list[str]]:
        """The names of the codes of each part, by which tokens are spelled."""
        raise NotImplementedError

    @property
    def sizes(self) -> list[int]:
        """The number of codes of each part."""
        return [len(part) for part in self.labels]

    @property
    def first(self) -> int:
        """The code of the first value that is not missing."""
        return 1 if self.missing else 0

    def encode(self, values: Sequence[str | None]) -> np.ndarray:
        """Return the codes of values, (n, parts) int64. None is a missing value. Raises DataError for a value that is
        none of this column."""
        raise NotImplementedError

    def decode(self, codes: np.ndarray, rng: np.random.Generator) -> list[str | None]:
        """Return the values of codes (n, parts). `rng` draws the place of a value within its range."""
        raise NotImplementedError

    def allowed(self, condition: str) -> list[np.ndarray]:
        """Return, for each part, which codes a condition leaves, (size,) bool. A condition is a value, values between
        bars ("A|B"), or a range of numbers or dates ("18..30", "..5", "100.."). Raises ConfigError for a condition that
        no value meets."""
        raise NotImplementedError

    def none_left(self, condition: str, known: Sequence[str]) -> ConfigError:
        """The error for a condition that no value meets."""
        shown = ", ".join(known[:8]) + (", ..." if len(known) > 8 else "")
        return ConfigError(f"no value is '{condition}'", f"known: {shown}")

    def with_missing(self, part: list[str]) -> list[str]:
        """The names of a part's codes with that of a missing value, where there are missing values."""
        return ["missing", *part] if self.missing else part


def bounds(condition: str) -> tuple[str, str] | None:
    """Return the ends of a range "LOW..HIGH", either of which may be empty; None for another condition."""
    low, dots, high = condition.partition("..")
    return (low.strip(), high.strip()) if dots and (low.strip() or high.strip()) else None


def with_zero(codes: np.ndarray, gone: np.ndarray, first: int) -> np.ndarray:
    """Move codes (n, parts) behind the code of a missing value, and give it to the rows `gone` (n,)."""
    codes = codes + first
    codes[gone] = MISSING
    return codes
