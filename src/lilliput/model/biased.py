"""Biases of the scores by the distance of key and query: their base, and ALiBi (arXiv:2108.12409)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import torch

from lilliput.model.parts import POSITIONS
from lilliput.model.positions import Position, Where

if TYPE_CHECKING:
    from lilliput.model.config import ModelConfig
    from lilliput.model.sight import Seen


@dataclass(eq=False)
class Bias:
    """The biases of one forward pass.

    line   (heads, new + end - 1): by distance, from the last query and the first key on, where rows have one length;
           else None
    whole  (B, heads, new, end): of every pair, where rows differ; else None
    new    the number of queries; the keys are `end`, and the queries are the last of them
    seen   what the queries see in the layers that read this bias
    dtype  the precision of the products
    """

    line: torch.Tensor | None
    whole: torch.Tensor | None
    new: int
    end: int
    seen: Seen | None = None
    dtype: torch.dtype = torch.float32
    _scores: torch.Tensor | None = field(default=None, repr=False)

    def within(self, seen: Seen, dtype: torch.dtype) -> Bias:
        """Return the bias of the layers with this sight."""
        return replace(self, seen=seen, dtype=dtype, _scores=None)

    @property
    def square(self) -> torch.Tensor | None:
        """The line (heads, 2 T - 1) where queries and keys are the same positions; else None."""
        return self.line if self.new == self.end else None

    def scores(self) -> torch.Tensor:
        """(1 or B, heads, new, end), with minus infinity where nothing is seen. It is computed once for all layers."""
        if torch.compiler.is_compiling():
            return self._computed()
        if self._scores is None:
            self._scores = self._computed()
        return self._scores

    def _computed(self) -> torch.Tensor:
        found = self.whole
        if self.line is not None:
            # Row i is a window of the line that begins at -i.
            found = self.line.unfold(-1, self.end, 1)[:, : self.new].flip(1)[None]
        assert found is not None, "a bias has a line, or all pairs"
        if self.seen is not None and self.seen.form != "all":
            found = found.masked_fill(~self.seen.mask(), float("-inf"))
        return found.to(self.dtype)


class Biased(Position):
    """The base of kinds of position that add a bias to the scores."""

    relative = True

    def biases(self, distances: torch.Tensor) -> torch.Tensor:
        """Distances of any shape (...,) int64, the key's position less the query's -> (heads, ...) float32."""
        raise NotImplementedError

    def tables(self, where: Where, end: int, dtype: torch.dtype) -> Bias:
        """The biases of queries at `where` and keys at 0 to `end` - 1, of the shapes that Bias gives."""
        device = next(iter((*self.parameters(), *self.buffers()))).device
        if isinstance(where, slice) and not torch.compiler.is_exporting():
            # One number for each distance: the gradient of all pairs would be summed over as many rows. An exported
            # graph, whose lengths are free, has no windows of a line.
            distances = torch.arange(1 - where.stop, end - where.start, device=device)
            return Bias(self.biases(distances), None, where.stop - where.start, end)
        at = torch.arange(where.start, where.stop, device=device)[None] if isinstance(where, slice) else where
        distances = torch.arange(end, device=device) - at[..., None]
        return Bias(None, self.biases(distances).transpose(0, 1), at.shape[1], end)


@POSITIONS.add("alibi")
class Alibi(Biased):
    """A penalty on the score of each key that grows with its distance, by a slope of each head (arXiv:2108.12409).

    The slopes of n heads, a power of two, are 2^(-8/n), 2^(-16/n) and so on. For another n, the slopes of the next
    power of two below are followed by every second slope of the power above, as the paper's code has it."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.register_buffer("slopes", torch.tensor(_slopes(config.n_heads)), persistent=False)

    def biases(self, distances: torch.Tensor) -> torch.Tensor:
        assert isinstance(self.slopes, torch.Tensor)
        return -self.slopes.view(-1, *[1] * distances.dim()) * distances.abs()


def _slopes(heads: int) -> list[float]:
    power = 2 ** (heads.bit_length() - 1)
    slopes = [2.0 ** (-8 * step / power) for step in range(1, power + 1)]
    between = [2.0 ** (-4 * step / power) for step in range(1, 2 * power + 1, 2)]
    return slopes + between[: heads - power]
