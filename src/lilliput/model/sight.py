"""Sight: which positions of a row see each other. Masks and the kernels' bounds derive from it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
import torch.nn.functional as F

from lilliput.base.errors import ModelError
from lilliput.model.positions import Where


@dataclass(frozen=True, eq=False)
class Sight:
    """The positions that each position of a row sees. Every given condition makes them fewer.

    causal    a position sees itself and earlier positions; else it sees later positions too
    window    a position sees positions nearer than this: i - j < window where causal, |i - j| < window where not
    segments  (B, T) int64: runs of equal numbers are documents that do not see each other
    lengths   (B,) int64: the real positions of each row; padding stands behind them and no real position sees it

    Segments, lengths and sight of later positions need all positions at once, so none of them goes with a cache.
    Padding sees itself, and in a causal row earlier positions too, so its hidden states are finite and of no use.
    Under all these conditions a position sees one interval of positions, and itself in it.
    """

    causal: bool = True
    window: int | None = None
    segments: torch.Tensor | None = None
    lengths: torch.Tensor | None = None

    def within(self, window: int | None) -> Sight:
        """Return the sight of a layer with this window. The narrower of the two windows counts."""
        if window is None or (self.window is not None and self.window <= window):
            return self
        return replace(self, window=window)

    def check(self, tokens: torch.Tensor, cached: bool) -> None:
        """Raise ModelError for shapes that do not fit tokens (B, T), and for conditions that cannot be used with a
        cache."""
        if cached and (self.segments is not None or self.lengths is not None or not self.causal):
            given = {"segments": self.segments is not None, "lengths": self.lengths is not None}
            names = [name for name, there in {**given, "causal=False": not self.causal}.items() if there]
            raise ModelError(
                f"{' and '.join(names)} and a cache cannot be used together: a cache holds one document a row, knows "
                "how long it is, and has no later positions",
                "give all positions at once, without a cache",
            )
        if self.window is not None and self.window < 1:
            raise ModelError(f"a window of {self.window} positions sees nothing; it has to be at least 1")
        for name, given, shape in (
            ("segments", self.segments, tokens.shape),
            ("lengths", self.lengths, tokens.shape[:1]),
        ):
            if given is not None and given.shape != shape:
                raise ModelError(f"{name} have the shape {tuple(given.shape)}, and tokens {tuple(tokens.shape)}")

    def at(self, where: Where, end: int, device: torch.device) -> Seen:
        """This sight from the positions `where`, (B, T) or a slice, of `end` in all. Segments need all: slice(0, T)."""
        return Seen(self, where, end, device)


CAUSAL = Sight()
"""Each position sees itself and all earlier ones."""
BOTH = Sight(causal=False)
"""Each position sees all positions, as in an encoder."""


class Seen:
    """The positions that the positions of one forward pass see in one layer, in the form that attention needs.

    sight  the layer's Sight
    form   "causal": square, each position sees itself and all earlier ones; "all": every position sees all;
           "some": as `mask` shows
    first  (1 or B, T) int32: the first position that each position sees; None: position 0
    last   (1 or B, T) int32: the last position that each position sees; None: itself

    `first` and `last` describe the same as `mask` where `bounded` is true: the queries are all positions, from position
    0 on. Elsewhere they are None.
    """

    def __init__(self, sight: Sight, where: Where, end: int, device: torch.device):
        self.sight, self._where, self._end, self._device = sight, where, end, device
        self.form: Literal["causal", "all", "some"] = _form(sight, where, end)
        self.bounded = isinstance(where, slice) and where.start == 0
        self.first: torch.Tensor | None = None
        self.last: torch.Tensor | None = None
        if self.bounded and self.form == "some":
            self.first = self._first().int()
        if self.bounded and not sight.causal:
            self.last = self._last().int()
        self._mask: torch.Tensor | None = None

    def mask(self) -> torch.Tensor:
        """(1 or B, 1, T, end) bool: whether the query, second last, sees the key, last. It is computed once for all
        layers that share this object; a graph computes it where it is read."""
        if torch.compiler.is_compiling():
            return self._masked()
        if self._mask is None:
            self._mask = self._masked()
        return self._mask

    def _masked(self) -> torch.Tensor:
        keys = torch.arange(self._end, device=self._device)
        first = self._first() if self.first is None else self.first
        last = self._last() if self.last is None else self.last
        return ((keys <= last[..., None]) & (keys >= first[..., None]))[:, None]

    def _at(self) -> torch.Tensor:
        """(1 or B, T): the positions of the queries."""
        if isinstance(self._where, torch.Tensor):
            return self._where
        return torch.arange(self._where.start, self._where.stop, device=self._device)[None]

    def _first(self) -> torch.Tensor:
        """(1 or B, T) int64: the first position that each query sees."""
        at, sight = self._at(), self.sight
        first = torch.zeros_like(at) if sight.window is None else (at - sight.window + 1).clamp_min(0)
        first = first if sight.segments is None else torch.maximum(first, starts(sight.segments))
        if sight.lengths is None or sight.causal:
            return first
        return torch.where(at < sight.lengths[:, None], first, at)

    def _last(self) -> torch.Tensor:
        """(1 or B, T) int64: the last position that each query sees."""
        at, sight = self._at(), self.sight
        if sight.causal:
            return at
        last = torch.full_like(at, self._end - 1)
        last = last if sight.window is None else (at + sight.window - 1).clamp_max(self._end - 1)
        last = last if sight.segments is None else torch.minimum(last, stops(sight.segments))
        # A real position sees no padding, and padding sees no later position.
        return last if sight.lengths is None else torch.minimum(last, torch.maximum(sight.lengths[:, None] - 1, at))


class Across:
    """The positions of a source that the positions of a decoder see: all real ones, whatever the decoder's position.

    lengths  (B,) int64: the real positions of each source; None: all `end` of them
    form     "all" or "some", as in Seen
    """

    def __init__(self, lengths: torch.Tensor | None, end: int, device: torch.device):
        self.form: Literal["all", "some"] = "all" if lengths is None else "some"
        self._lengths, self._end, self._device = lengths, end, device

    def mask(self) -> torch.Tensor:
        """(1 or B, 1, 1, end) bool: whether the positions of a text see this position of its source."""
        keys = torch.arange(self._end, device=self._device)
        ends = torch.full((1,), self._end, device=self._device) if self._lengths is None else self._lengths
        return (keys < ends[:, None])[:, None, None]


def _form(sight: Sight, where: Where, end: int) -> Literal["causal", "all", "some"]:
    # An exported graph keeps its window's mask: it serves every length.
    narrow = sight.window is not None and (torch.compiler.is_exporting() or end > sight.window)
    if narrow or sight.segments is not None:
        return "some"
    if not sight.causal:
        return "all" if sight.lengths is None else "some"
    # Padding comes after all real positions, so a causal sight already hides it.
    if isinstance(where, slice) and where.start == 0:
        return "causal"
    return "all" if isinstance(where, slice) and where.stop - where.start == 1 else "some"


def begins(segments: torch.Tensor) -> torch.Tensor:
    """segments (B, T) -> (B, T) bool: whether a run of equal numbers begins here."""
    return F.pad(segments[:, 1:] != segments[:, :-1], (1, 0), value=True)


def starts(segments: torch.Tensor) -> torch.Tensor:
    """segments (B, T) -> (B, T) int64: where the run of equal numbers that holds this position begins."""
    steps = torch.arange(segments.shape[1], device=segments.device)
    return torch.where(begins(segments), steps, 0).cummax(1).values


def stops(segments: torch.Tensor) -> torch.Tensor:
    """segments (B, T) -> (B, T) int64: the last position of the run of equal numbers that holds this position."""
    length = segments.shape[1]
    return length - 1 - starts(segments.flip(1)).flip(1)
