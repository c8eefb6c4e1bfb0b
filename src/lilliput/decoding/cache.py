"""KVCache: what the layers keep of the positions that the model has read, so that each new token costs one position."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch

from lilliput.base.errors import ModelError
from lilliput.decoding.sources import Sources
from lilliput.decoding.states import States
from lilliput.model.attention import Cache, keys_and_values_alone, no_sources
from lilliput.model.parts import ATTENTIONS
from lilliput.model.positions import Where

if TYPE_CHECKING:
    from lilliput.model.config import ModelConfig


class KVCache(Cache):
    """Keys and values of `batch` texts, and the states of layers that keep a state in their place (linear attention).
    The memory is allocated once, with `capacity` positions for each of up to `room` texts.

    Every row begins at position 0 of its memory and has its own length, so that a text can join or leave without moving
    the other texts. A forward pass over T new positions of each row calls `places` once and `update` once a layer; the
    caller of the forward pass then calls `advance`.

    keys, values  (room, Hkv, capacity, d_head) for each layer that has keys and values
    states        of the layers that keep a state; None where no layer does
    sources       of the texts, in the decoder of an encoder; None elsewhere
    lengths       positions held of each row; `len(lengths)` rows are in use. Lowering one forgets the row's end, which
                  `places` refuses where a layer keeps a state
    """

    def __init__(
        self,
        config: ModelConfig,
        batch: int,
        capacity: int,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        room: int | None = None,
    ):
        self.room = batch if room is None else room
        self.capacity, self.device = capacity, torch.device(device)
        kept = {layer: ATTENTIONS[kind].state_of(config) for layer, kind in enumerate(config.attentions)}
        states = {layer: state for layer, state in kept.items() if state}
        self.states = States(states, batch, self.room, device) if states else None
        self.sources = Sources() if config.encoder_layers else None
        self._places = {layer: place for place, layer in enumerate(sorted(kept.keys() - states.keys()))}
        shape = (self.room, config.n_kv_heads, capacity, config.d_head)
        # Zeros: masked positions are multiplied by 0, and 0 times NaN would be NaN.
        self.keys = [torch.zeros(shape, device=device, dtype=dtype) for _ in self._places]
        self.values = [torch.zeros(shape, device=device, dtype=dtype) for _ in self._places]
        self.lengths = [0] * batch
        self._at: slice | tuple[torch.Tensor, slice, torch.Tensor] = slice(0, 0)
        self._end = 0

    @property
    def batch(self) -> int:
        """Rows in use."""
        return len(self.lengths)

    def places(self, new: int) -> tuple[Where, int]:
        """Return the next `new` positions of every row, and the largest of them plus 1. Raises ModelError where there
        is no room, for impossible lengths, and for lengths that a layer's state does not have."""
        if not self.lengths or min(self.lengths) < 0 or self.batch > self.room:
            raise ModelError(
                f"a key-value cache with room for {self.room} texts cannot have the lengths {self.lengths}"
            )
        if self.states is not None:
            self.states.check(self.lengths)
        past, device = max(self.lengths), self.device
        self._end = end = past + new
        if end > min((self.capacity, *(layer.shape[2] for layer in self.keys + self.values))):
            raise ModelError(
                f"the key-value cache is full: it holds {past} of {self.capacity} positions and was given {new} more",
                "make the cache with a larger capacity",
            )
        if min(self.lengths) == past:
            self._at = slice(past, end)
            return self._at, end
        at = torch.tensor(self.lengths, device=device)[:, None] + torch.arange(new, device=device)
        self._at = (torch.arange(self.batch, device=device)[:, None], slice(None), at)
        return at, end

    def update(self, layer: int, k: torch.Tensor, v: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Store k and v (B, Hkv, T, d) at the positions of `places`; return all positions in the precision of k and v,
        (B, Hkv, end, d), which are views where the cache has this precision. A shorter row's numbers beyond its length
        are not valid."""
        place = self._places[layer]
        keys, values = self.keys[place][: self.batch], self.values[place][: self.batch]
        if isinstance(self._at, slice):
            keys[:, :, self._at] = k
            values[:, :, self._at] = v
        else:
            keys[self._at] = k.transpose(1, 2).to(keys.dtype)
            values[self._at] = v.transpose(1, 2).to(values.dtype)
        return keys[:, :, : self._end].to(k.dtype), values[:, :, : self._end].to(v.dtype)

    def state(self, layer: int) -> tuple[torch.Tensor, ...]:
        """Return the state of a layer, of the rows in use. Raises ModelError where no layer has one."""
        if self.states is None:
            raise keys_and_values_alone(layer)
        return self.states.read(layer)

    def write(self, layer: int, after: Callable[[torch.Tensor], tuple[torch.Tensor, ...]]) -> None:
        """Take what new positions make of a layer's state: a function of the number (B,) of positions of each row, of
        which `advance` gives the numbers."""
        if self.states is None:
            raise keys_and_values_alone(layer)
        self.states.write(layer, after)

    def remember(self, layer: int, k: torch.Tensor, v: torch.Tensor, lengths: torch.Tensor | None) -> None:
        """Keep a layer's keys and values of the sources, as long as their texts are in the cache."""
        if self.sources is None:
            raise no_sources(layer)
        self.sources.remember(layer, k, v, lengths)

    def remembered(self, layer: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """Return a layer's keys and values of the sources of all rows. Raises ModelError where none was kept."""
        if self.sources is None:
            raise no_sources(layer)
        return self.sources.remembered(layer)

    def advance(self, new: int | Sequence[int]) -> None:
        """Count `new` further positions as held, as one number for each row or one number for all rows. Called once a
        forward pass, after every layer has stored the positions. Where `new` is less than the stored number, the other
        positions were padding."""
        each = [new] * self.batch if isinstance(new, int) else new
        self.lengths = [length + more for length, more in zip(self.lengths, each, strict=True)]
        if self.states is not None:
            self.states.advance(each)

    @torch.inference_mode()
    def put(self, row: int, other: KVCache, source: int) -> None:
        """Make row `row` a copy of row `source` of another cache; `row == batch` adds a row."""
        length = other.lengths[source]
        for ours, theirs in zip(self.keys + self.values, other.keys + other.values, strict=True):
            ours[row, :, :length] = theirs[source, :, :length]
        if self.states is not None and other.states is not None:
            self.states.put(row, other.states, source)
        if self.sources is not None and other.sources is not None:
            self.sources.put(row, other.sources, source)
        self.lengths[row : row + 1] = [length]

    def select(self, rows: Sequence[int]) -> None:
        """Keep these rows in this order. A row may be left out, or repeated while there is room."""
        for layer in self.keys + self.values:
            layer[: len(rows)] = layer[list(rows)]
        if self.states is not None:
            self.states.select(rows)
        if self.sources is not None:
            self.sources.select(rows)
        self.lengths = [self.lengths[row] for row in rows]

    def drop(self, row: int) -> None:
        """Give up a row; the last row takes its place."""
        last = self.batch - 1
        if row != last:
            self.put(row, self, last)
        self.lengths.pop()
        if self.states is not None:
            self.states.drop()
        if self.sources is not None:
            self.sources.drop()
