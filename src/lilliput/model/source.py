"""Source and Memory: the text that an encoder reads for a decoder, before and after it is encoded."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from lilliput.base.errors import ModelError


@dataclass(frozen=True, eq=False)
class Source:
    """The sources of B texts.

    tokens   (B, S) int64, padding behind the real positions
    lengths  (B,) int64: the real positions of each source, at least 1; None: all
    """

    tokens: torch.Tensor
    lengths: torch.Tensor | None = None

    def check(self, rows: int) -> None:
        """Raise ModelError where the sources do not fit `rows` texts."""
        shape = tuple(self.tokens.shape)
        if len(shape) != 2 or shape[0] != rows or not shape[1]:
            raise ModelError(f"the sources have the shape {shape}, and the decoder's tokens have {rows} rows")
        if self.lengths is not None and tuple(self.lengths.shape) != (rows,):
            raise ModelError(f"the lengths of {rows} sources have the shape {tuple(self.lengths.shape)}")


@dataclass(frozen=True, eq=False)
class Memory:
    """Encoded sources: the encoder's last hidden states (B, S, d_model), normed, of which `lengths` (B,) are real."""

    hidden: torch.Tensor
    lengths: torch.Tensor | None = None
