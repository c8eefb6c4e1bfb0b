"""Capture: the activations of named hook points, kept while a model runs, in memory or on disk."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from lilliput.base.errors import ModelError
from lilliput.lens.names import bridge_names, hook_names, hook_points, ours
from lilliput.model.transformer import Model

MEMORY_BYTES = 2**30
"""The most bytes of activations that a capture keeps in memory by default."""
BY_QUERY = ("hook_pattern", "hook_attn_scores")
"""Activations of (rows, heads, queries, keys). Positions choose among the queries. All others are (rows, positions,
...)."""

Positions = int | slice | Sequence[int] | None


class Captured(Mapping[str, torch.Tensor]):
    """Activations by name. `seen[name]` joins the forward passes along the rows; `each(name)` gives a tensor a pass.
    Both take either of TransformerLens' forms of a name; iteration gives our own.

    Tensors share the memory of the model's own activations, without their graph. Beyond `memory_bytes` they are
    written to a new folder in `folder`, and read back on access.
    """

    def __init__(
        self,
        names: Sequence[str],
        positions: Positions,
        memory_bytes: int,
        folder: Path | None,
        bridge: Mapping[str, str],
    ):
        self._held: dict[str, list[torch.Tensor | Path]] = {name: [] for name in names}
        self._bridge = bridge
        self._positions, self._limit = positions, memory_bytes
        self._parent = folder
        self._folder: Path | None = None
        self._bytes, self._storages, self._files = 0, set[int](), 0

    def each(self, name: str) -> list[torch.Tensor]:
        """Return the activations of one name, a tensor for each forward pass. Raises KeyError for a name that was not
        asked for."""
        passes = self._held[ours(name, self._bridge)]
        return [one if isinstance(one, torch.Tensor) else load_file(one)["activation"] for one in passes]

    def __getitem__(self, name: str) -> torch.Tensor:
        passes = self.each(name)
        if not passes:
            raise ModelError(f"{name} was not computed: the model did not run, or its parts do not use this point")
        if len(passes) == 1:
            return passes[0]
        if len({one.shape[1:] for one in passes}) > 1:
            raise ModelError(f"{name} has passes of different lengths", f"seen.each('{name}') has a tensor for each")
        return torch.cat(passes)

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names that were computed. A rotary model, for example, computes no `hook_pos_embed`."""
        return (name for name, passes in self._held.items() if passes)

    def __len__(self) -> int:
        return sum(bool(passes) for passes in self._held.values())

    def keep(self, name: str, module: Any, inputs: Any, output: torch.Tensor) -> None:
        """Keep the output of a hook point. This is the forward hook that `capture` sets."""
        value = output.detach()
        if self._positions is not None:
            value = _at(value, self._positions, -2 if name.endswith(BY_QUERY) else 1)
        size = self._new_bytes(value)
        if self._bytes + size > self._limit:
            self._held[name].append(self._written(value))
            return
        self._bytes += size
        self._storages.add(value.untyped_storage().data_ptr())
        self._held[name].append(value)

    def _new_bytes(self, value: torch.Tensor) -> int:
        """Two names of one tensor (the end of a layer and the start of the next) cost once."""
        storage = value.untyped_storage()
        return 0 if storage.data_ptr() in self._storages else storage.nbytes()

    def _written(self, value: torch.Tensor) -> Path:
        if self._folder is None:
            if self._parent is not None:
                self._parent.mkdir(parents=True, exist_ok=True)
            # Each result has a folder of its own, so that two captures into one folder do not replace each other.
            self._folder = Path(tempfile.mkdtemp(prefix="lilliput-lens-", dir=self._parent))
            if self._parent is None:
                weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        file = self._folder / f"{self._files:08d}.safetensors"
        self._files += 1
        save_file({"activation": value.contiguous()}, file)
        return file

    def discard(self) -> None:
        """Delete all activations, in memory and on disk."""
        self._held = {name: [] for name in self._held}
        self._bytes, self._storages = 0, set()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None


@contextmanager
def capture(
    model: Model,
    names: str | Sequence[str] = "*",
    *,
    layers: Collection[int] | None = None,
    positions: Positions = None,
    memory_bytes: int = MEMORY_BYTES,
    folder: str | Path | None = None,
) -> Iterator[Captured]:
    """Keep the activations of hook points while the body runs the model.

    `names` are names or globs of either of TransformerLens' forms (see `hook_names`), `layers` and `positions` limit
    them. Of patterns and scores, positions choose queries. Beyond `memory_bytes` activations go to safetensors files in
    a new folder in `folder`, or in a temporary folder that is deleted with the result. Where the body raises, all files
    are deleted. Values are seen before an `intervene` that was set later, and after one that was set earlier. Raises
    ModelError for an unknown name or layer, and for a model that was compiled as a whole.
    """
    found = hook_names(model, names, layers)
    seen = Captured(found, positions, memory_bytes, None if folder is None else Path(folder), bridge_names(model))
    hooks = hook_points(model)
    handles = [hooks[name].register_forward_hook(partial(seen.keep, name)) for name in found]
    try:
        yield seen
    except BaseException:
        seen.discard()
        raise
    finally:
        for handle in handles:
            handle.remove()


def _at(value: torch.Tensor, positions: int | slice | Sequence[int], dim: int) -> torch.Tensor:
    if isinstance(positions, int):
        positions = [positions]
    if isinstance(positions, slice):
        index: list[Any] = [slice(None)] * value.dim()
        index[dim] = positions
        return value[tuple(index)].clone()  # a view would keep the memory of all positions
    where = torch.as_tensor(positions, device=value.device) % value.shape[dim]
    return value.index_select(dim, where)
