"""Place: the name or names of one of our tensors in another program's files, and the rearrangement of its numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch

from lilliput.model.config import ModelConfig


@dataclass(frozen=True, slots=True)
class Same:
    """Their tensor equals ours. `name` holds `#` in place of the layer's number."""

    name: str

    @property
    def names(self) -> tuple[str, ...]:
        """Their names for our one tensor."""
        return (self.name,)

    def names_in(self, config: ModelConfig) -> tuple[str, ...]:
        """Their names for our one tensor in a model of this config."""
        return self.names

    def out(self, tensor: torch.Tensor, config: ModelConfig) -> list[torch.Tensor]:
        """Our tensor as their tensors, one for each of `names_in`: the same shape, (outputs, inputs) or (width,),
        unless a subclass splits it by rows or transposes it."""
        return [tensor]

    def back(self, tensors: list[torch.Tensor], config: ModelConfig) -> torch.Tensor:
        """Their tensors, in the shapes that `out` gives, as our tensor: undoes `out`."""
        return tensors[0]


@dataclass(frozen=True, slots=True)
class Split(Same):
    """Our tensor holds the rows of several of their tensors below each other: q, k, v or gate, up; `{}` in the name."""

    parts: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.name.format(part) for part in self.parts)

    def out(self, tensor: torch.Tensor, config: ModelConfig) -> list[torch.Tensor]:
        if len(self.parts) == 2:
            return list(tensor.chunk(2))
        query, key = config.n_heads * config.d_head, config.n_kv_heads * config.d_head
        return list(tensor.split((query, key, key)))

    def back(self, tensors: list[torch.Tensor], config: ModelConfig) -> torch.Tensor:
        return torch.cat(tensors)


@dataclass(frozen=True, slots=True)
class Turned(Same):
    """Their matrix is ours transposed (GPT-2's Conv1D)."""

    def out(self, tensor: torch.Tensor, config: ModelConfig) -> list[torch.Tensor]:
        return [tensor.T]

    def back(self, tensors: list[torch.Tensor], config: ModelConfig) -> torch.Tensor:
        return tensors[0].T


@dataclass(frozen=True, slots=True)
class ByHead(Same):
    """The order of their rows is (head, q|k|v, channel), and of our rows (q|k|v, head, channel) (GPT-NeoX)."""

    def out(self, tensor: torch.Tensor, config: ModelConfig) -> list[torch.Tensor]:
        return [tensor.unflatten(0, (3, config.n_heads, config.d_head)).transpose(0, 1).flatten(0, 2)]

    def back(self, tensors: list[torch.Tensor], config: ModelConfig) -> torch.Tensor:
        return tensors[0].unflatten(0, (config.n_heads, 3, config.d_head)).transpose(0, 1).flatten(0, 2)


@dataclass(frozen=True, slots=True)
class SplitExperts(Split):
    """Our tensor (experts, rows, columns) holds in each expert the rows of several of their tensors, each (experts,
    some rows, columns)."""

    def out(self, tensor: torch.Tensor, config: ModelConfig) -> list[torch.Tensor]:
        return list(tensor.chunk(len(self.parts), dim=1))

    def back(self, tensors: list[torch.Tensor], config: ModelConfig) -> torch.Tensor:
        return torch.cat(tensors, dim=1)


@dataclass(frozen=True, slots=True)
class ByExpert(Same):
    """Our tensor (experts, rows, columns) holds a matrix of each expert, and they have a tensor of each: `{expert}` in
    the name. With `parts` a matrix of ours holds the rows of several of theirs: `{part}` in the name."""

    parts: tuple[str, ...] = ("",)

    def names_in(self, config: ModelConfig) -> tuple[str, ...]:
        experts = range(config.n_experts)
        return tuple(self.name.format(expert=expert, part=part) for expert in experts for part in self.parts)

    def out(self, tensor: torch.Tensor, config: ModelConfig) -> list[torch.Tensor]:
        return [part for matrix in tensor.unbind() for part in matrix.chunk(len(self.parts))]

    def back(self, tensors: list[torch.Tensor], config: ModelConfig) -> torch.Tensor:
        count = len(self.parts)
        return torch.stack([torch.cat(tensors[place : place + count]) for place in range(0, len(tensors), count)])


@dataclass(frozen=True, slots=True)
class Doubled(Same):
    """They hold our tensor once where the embeddings are tied, and twice where not: the tensor `name`, which nothing
    reads then, and `untied`."""

    untied: str

    def names_in(self, config: ModelConfig) -> tuple[str, ...]:
        return (self.name,) if config.tied_embeddings else (self.name, self.untied)

    def out(self, tensor: torch.Tensor, config: ModelConfig) -> list[torch.Tensor]:
        # A copy, because a file of safetensors holds no tensor under two names.
        return [tensor] if config.tied_embeddings else [tensor, tensor.clone()]

    def back(self, tensors: list[torch.Tensor], config: ModelConfig) -> torch.Tensor:
        return tensors[-1]


Places = dict[str, Same]
_BLOCK = re.compile(r"^((?:encoder\.)?blocks)\.(\d+)\.")


def places(table: Mapping[str, str | Same]) -> Places:
    """A table in which a bare name stands for `Same(name)`."""
    return {ours: Same(place) if isinstance(place, str) else place for ours, place in table.items()}


def find(ours: str, table: Places, config: ModelConfig) -> tuple[Same, tuple[str, ...]]:
    """The place of one of our names in a model of this config, and their names with the layer's number filled in."""
    match = _BLOCK.match(ours)
    place = table[_BLOCK.sub(r"\1.#.", ours)]
    return place, tuple(name.replace("#", match[2] if match else "#") for name in place.names_in(config))


def their_names(ours: Iterable[str], table: Places, config: ModelConfig) -> list[str]:
    """The names of theirs for our names; those of ours that the table lacks are left out."""
    return [name for each in ours if _BLOCK.sub(r"\1.#.", each) in table for name in find(each, table, config)[1]]


def to_theirs(state: Mapping[str, torch.Tensor], table: Places, config: ModelConfig) -> dict[str, torch.Tensor]:
    """Return our state under their names. On the meta device this gives the expected shapes."""
    theirs = {}
    for ours, tensor in state.items():
        place, names = find(ours, table, config)
        theirs.update(zip(names, place.out(tensor, config), strict=True))
    return theirs


def to_ours(
    theirs: Mapping[str, torch.Tensor], wanted: Mapping[str, torch.Tensor], table: Places, config: ModelConfig
) -> dict[str, torch.Tensor]:
    """Return their tensors under our names, for every name in `wanted`, in the shapes of our model."""
    state = {}
    for ours in wanted:
        place, names = find(ours, table, config)
        state[ours] = place.back([theirs[name] for name in names], config)
    return state
