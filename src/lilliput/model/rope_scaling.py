"""RopeScaling: rotary angles that are stretched for a longer context than the one of training."""

from __future__ import annotations

import math
from typing import Literal

import torch
from pydantic import Field, model_validator

from lilliput.base.config import Config


class RopeScaling(Config):
    """The angles of each pair of channels, divided by a factor.

    linear  all angles are divided by `factor` (arXiv:2306.15595)
    llama3  slow pairs are divided by `factor`, fast pairs stay as they are, and the pairs between are mixed. A pair is
            slow where it turns `low` times or less in `original` positions, and fast where it turns `high` times or
            more (Llama 3.1's model card)
    """

    kind: Literal["linear", "llama3"] = Field(default="linear", description="linear or llama3")
    factor: float = Field(ge=1, description="divisor of the angles")
    low: float | None = Field(default=None, gt=0, description="llama3: turns up to which a pair is slow")
    high: float | None = Field(default=None, gt=0, description="llama3: turns from which a pair is fast")
    original: int | None = Field(default=None, ge=1, strict=True, description="llama3: context of the first training")

    @model_validator(mode="after")
    def _complete(self) -> RopeScaling:
        given = [name for name in ("low", "high", "original") if getattr(self, name) is not None]
        if self.kind == "linear" and given:
            raise ValueError(f"{', '.join(given)} would do nothing with kind=linear")
        if self.kind == "llama3" and len(given) < 3:
            raise ValueError("kind=llama3 needs low, high and original")
        if self.low is not None and self.high is not None and self.high <= self.low:
            raise ValueError(f"high {self.high:g} has to be more than low {self.low:g}")
        return self

    def scaled(self, frequencies: torch.Tensor) -> torch.Tensor:
        """frequencies (pairs,) in radians a position -> (pairs,), stretched."""
        slow = frequencies / self.factor
        if self.kind == "linear":
            return slow
        assert self.low is not None
        assert self.high is not None
        assert self.original is not None
        turns = self.original * frequencies / (2 * math.pi)
        fast = ((turns - self.low) / (self.high - self.low)).clamp(0, 1)
        return (1 - fast) * slow + fast * frequencies
