"""Texts: free text of any length, by the tokens of the table's tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from lilliput.base.errors import ConfigError, DataError
from lilliput.data.columns.codec import Codec


class Texts(Codec):
    """A text is its tokens and an end mark. `longest` bounds the tokens of a generated text."""

    kind: Literal["texts"] = "texts"
    longest: int = Field(ge=1, description="most tokens of a text; a longer one is cut")
    open: ClassVar[bool] = True

    @property
    def labels(self) -> list[list[str]]:
        return []

    def encode(self, values: Sequence[str | None]) -> np.ndarray:
        raise DataError("a text has no codes: its tokens are those of the table's tokenizer")

    def allowed(self, condition: str) -> list[np.ndarray]:
        raise ConfigError(f"a text takes no condition: '{condition}'", "give a category, a number or a date")
