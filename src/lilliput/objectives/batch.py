"""Batch and Loss: an objective makes a Batch of rows of tokens, and a Loss of a Batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from lilliput.base.errors import ConfigError


class Batch:
    """Named tensors of R rows each: `batch.tokens`, `batch["tokens"]`. An objective may add fields to the usual ones:
    `Batch(tokens, targets, weights, rewards=rewards)`. A field given as None is left out.

    tokens    (R, T) int64    the input of the model
    targets   (R, T) int64    the right token at each position
    weights (R, T) float32 the weight of each position; 0 where nothing is learned (padding, prompts)

    `columns` holds R further values of any kind beside the tensors, such as the columns of each row's document; they
    follow their rows, and stay where they are when tensors move. Raises ValueError for fields of unequal numbers of
    rows.
    """

    def __init__(
        self,
        tokens: torch.Tensor | None = None,
        targets: torch.Tensor | None = None,
        weights: torch.Tensor | None = None,
        columns: Sequence[Any] | None = None,
        **further: torch.Tensor | None,
    ):
        given = {"tokens": tokens, "targets": targets, "weights": weights, **further}
        self.fields: dict[str, torch.Tensor] = {name: part for name, part in given.items() if part is not None}
        if len({len(part) for part in self.fields.values()}) != 1:
            shapes = ", ".join(f"{name} {tuple(part.shape)}" for name, part in self.fields.items())
            raise ValueError(f"the fields of a batch have one number of rows, and these differ: {shapes or 'none'}")
        self.columns = None if columns is None else list(columns)
        if self.columns is not None and len(self.columns) != len(self):
            raise ValueError(f"a batch of {len(self)} rows has columns for {len(self.columns)}")

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
        """The same batch with these fields added, or replaced where the batch has a field of that name."""
        return Batch(columns=self.columns, **{**self.fields, **fields})

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
        begins = range(0, len(self), rows)
        found = [None if self.columns is None else self.columns[i : i + rows] for i in begins]
        return [
            self._each(lambda part, i=i: part[i : i + rows], columns) for i, columns in zip(begins, found, strict=True)
        ]

    def take(self, rows: torch.Tensor) -> Batch:
        """The rows of these numbers, (N,) int64."""
        columns = None if self.columns is None else [self.columns[row] for row in rows.tolist()]
        return self._each(lambda part: part[rows.to(part.device)], columns)

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
        if self.columns is not None:
            raise ConfigError("rows with columns cannot be cut into shorter rows", "leave out train.growth.context")
        return self._each(lambda part: part.reshape(-1, length))

    def _each(self, change: Callable[[torch.Tensor], torch.Tensor], columns: Sequence[Any] | None = None) -> Batch:
        kept = self.columns if columns is None else columns
        return Batch(columns=kept, **{name: change(part) for name, part in self.fields.items()})


@dataclass(frozen=True, slots=True)
class Loss:
    """`total` is a sum over the learned units, such as tokens (nats, float32 scalar), not a mean. The trainer divides
    by the weight of the whole batch, so that micro-batches of unequal weight add up exactly. `metrics` are further
    sums."""

    total: torch.Tensor
    metrics: dict[str, torch.Tensor] = field(default_factory=dict)
