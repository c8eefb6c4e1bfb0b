"""Batch and Loss: an objective makes a Batch of rows of tokens, and a Loss of a Batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import torch

from lilliput.base.errors import ConfigError


class Batch:
    """Named tensors of R rows each: `batch.tokens`, `batch["tokens"]`. An objective may add fields to the usual ones:
    `Batch(tokens, targets, weights, rewards=rewards)`. A field given as None is left out.

    tokens    (R, T) int64    the input of the model
    targets   (R, T) int64    the right token at each position
    weights (R, T) float32 the weight of each position; 0 where nothing is learned (padding, prompts)

    Raises ValueError for fields of unequal numbers of rows.
    """

    def __init__(
        self,
        tokens: torch.Tensor | None = None,
        targets: torch.Tensor | None = None,
        weights: torch.Tensor | None = None,
        **further: torch.Tensor | None,
    ):
        given = {"tokens": tokens, "targets": targets, "weights": weights, **further}
        self.fields: dict[str, torch.Tensor] = {name: part for name, part in given.items() if part is not None}
        if len({len(part) for part in self.fields.values()}) != 1:
            shapes = ", ".join(f"{name} {tuple(part.shape)}" for name, part in self.fields.items())
            raise ValueError(f"the fields of a batch have one number of rows, and these differ: {shapes or 'none'}")

    def __getattr__(self, name: str) -> torch.Tensor:
        fields = self.__dict__.get("fields", {})
        if name not in fields:
            raise AttributeError(f"the batch has no field '{name}'; it has {', '.join(fields)}")
        return fields[name]

    def __getitem__(self, name: str) -> torch.Tensor:
        return self.fields[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.fields)

    def __len__(self) -> int:
        """The number of rows."""
        return len(next(iter(self.fields.values())))

    def get(self, name: str) -> torch.Tensor | None:
        """The field, or None."""
        return self.fields.get(name)

    @property
    def length(self) -> int:
        """Positions of a row: the last dimension of `tokens`, or of the first field that has more than one."""
        wide = (part for part in self.fields.values() if part.dim() > 1)
        part = self.fields.get("tokens", next(wide, None))
        return 1 if part is None or part.dim() < 2 else int(part.shape[-1])

    def including(self, fields: Mapping[str, torch.Tensor]) -> Batch:
        """Return the same batch with these fields, which are added or replace fields of the same names."""
        return Batch(**{**self.fields, **fields})

    def to(self, device: torch.device | str) -> Batch:
        """Return the same batch on `device`. From pinned memory it is copied without waiting."""
        return self._each(lambda part: part.to(device, non_blocking=True))

    def pinned(self) -> Batch:
        """Return the same batch in pinned memory, from which a GPU copies while it computes."""
        return self._each(lambda part: part.pin_memory())

    def usable(self) -> Batch:
        """Return the same batch with copies of the tensors that were made in inference mode, so that a loss may keep
        them for its gradient."""
        return self._each(lambda part: part.clone() if part.is_inference() else part)

    def split(self, rows: int) -> list[Batch]:
        """Micro-batches of at most `rows` rows, in order."""
        return [self._each(lambda part, i=i: part[i : i + rows]) for i in range(0, len(self), rows)]

    def take(self, rows: torch.Tensor) -> Batch:
        """Return the rows with these numbers, (N,) int64."""
        return self._each(lambda part: part[rows.to(part.device)])

    def cut(self, length: int) -> Batch:
        """Return the same positions in rows of `length`, which has to divide T. Raises ConfigError for a field that is
        not (R, T), because such a field belongs to a whole row."""
        whole = self.length
        if length == whole:
            return self
        for name, part in self.fields.items():
            if part.dim() != 2 or part.shape[1] != whole:
                raise ConfigError(
                    f"rows with '{name}' of shape {tuple(part.shape)} cannot be cut into {length} positions",
                    "leave out train.growth.context",
                )
        return self._each(lambda part: part.reshape(-1, length))

    def _each(self, change: Callable[[torch.Tensor], torch.Tensor]) -> Batch:
        return Batch(**{name: change(part) for name, part in self.fields.items()})


@dataclass(frozen=True, slots=True)
class Loss:
    """`total` is a sum over the learned units, such as tokens (nats, float32 scalar), not a mean. The trainer divides
    by the weight of the whole batch, so that micro-batches of unequal weight add up exactly. `metrics` are further
    sums."""

    total: torch.Tensor
    metrics: dict[str, torch.Tensor] = field(default_factory=dict)
