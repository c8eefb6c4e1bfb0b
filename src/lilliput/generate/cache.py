"""KVCache: the keys and values of positions already read, so that each new token costs one position."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from lilliput.base.errors import ModelError

if TYPE_CHECKING:
    from lilliput.model.config import ModelConfig


class KVCache:
    """Keys and values of `batch` rows in memory taken once for `capacity` positions.

    A forward pass over T new positions calls `update` once a layer; all layers write behind the same
    `length`, and the caller of the forward pass then calls `advance(T)`.

    length  positions held, padding included; the same for every row
    start   (B,) int64: each row's first position that is not padding, or None when no row is padded.
            Positions before it are never attended to, and a row's position codes count from it
    """

    def __init__(
        self,
        config: ModelConfig,
        batch: int,
        capacity: int,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        start: torch.Tensor | None = None,
    ):
        shape = (config.n_layers, batch, config.n_kv_heads, capacity, config.d_head)
        self._keys = torch.empty(shape, device=device, dtype=dtype)
        self._values = torch.empty(shape, device=device, dtype=dtype)
        self.length = 0
        self.start = start

    @property
    def batch(self) -> int:
        """Rows held."""
        return self._keys.shape[1]

    @property
    def capacity(self) -> int:
        """Positions that there is room for."""
        return self._keys.shape[3]

    def update(self, layer: int, k: torch.Tensor, v: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Store k and v (B, Hkv, T, d) behind the positions held; return views of all of them,
        (B, Hkv, length + T, d). Raises ModelError when there is no room for T more positions."""
        end = self.length + k.shape[2]
        if end > self.capacity:
            raise ModelError(
                f"the key-value cache is full: it holds {self.length} of {self.capacity} positions "
                f"and was given {k.shape[2]} more",
                "make the cache with a larger capacity",
            )
        keys, values = self._keys[layer], self._values[layer]
        keys[:, :, self.length : end] = k
        values[:, :, self.length : end] = v
        return keys[:, :, :end], values[:, :, :end]

    def advance(self, n: int) -> None:
        """Count n positions as held; called once a forward pass, after every layer has stored them."""
        self.length += n

    def select(self, rows: list[int]) -> None:
        """Keep these rows (one at least) in this order: a row may be left out (it is finished) or repeated
        (several samples of one prompt). Positions that are padding in every row kept are dropped."""
        index = torch.tensor(rows, device=self._keys.device)
        spare = 0
        if self.start is not None:
            start = self.start[index]
            spare = int(start.min())
            self.start = start - spare if bool((start > spare).any()) else None
        self._keys = self._keys[:, :, :, spare:].index_select(1, index)
        self._values = self._values[:, :, :, spare:].index_select(1, index)
        self.length -= spare
