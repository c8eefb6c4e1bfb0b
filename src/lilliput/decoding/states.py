"""States: what linear attention keeps of each text in place of keys and values, in as many numbers for any length."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch

from lilliput.base.errors import ModelError

Tensors = tuple[torch.Tensor, ...]


class States:
    """The states of the layers that keep one: some tensors for each layer, (room, ...) float32 each.

    A forward pass reads the states and gives what its positions make of them. `advance` applies that to as many
    positions of each row as are no padding. So the same positions may be read again until they are counted, as in a
    cache of keys and values. A state holds all positions in one sum, so that a position that was counted cannot be
    taken out again.

    held  positions of each row that its states hold
    """

    def __init__(
        self, shapes: Mapping[int, Sequence[Sequence[int]]], batch: int, room: int, device: torch.device | str
    ):
        self.numbers: dict[int, Tensors] = {
            layer: tuple(torch.zeros(room, *shape, device=device) for shape in each) for layer, each in shapes.items()
        }
        self.held = [0] * batch
        self._after: dict[int, Callable[[torch.Tensor], Tensors]] = {}

    def read(self, layer: int) -> Tensors:
        """Return the state of a layer, of the rows in use."""
        return tuple(one[: len(self.held)] for one in self.numbers[layer])

    def write(self, layer: int, after: Callable[[torch.Tensor], Tensors]) -> None:
        """Take the state of a layer as a function of the number of new positions of each row, until `advance`."""
        self._after[layer] = after

    def check(self, lengths: Sequence[int]) -> None:
        """Raise ModelError where the rows should have other lengths than the states hold."""
        if list(lengths) != self.held:
            raise ModelError(
                f"a state cannot forget tokens that it has read: it holds {self.held} tokens, and {list(lengths)} are "
                "asked for",
                "read the text again in a new cache, or use a model with model.attention=full",
            )

    @torch.no_grad()
    def advance(self, new: Sequence[int]) -> None:
        """Count the first `new` positions of each row as held."""
        self.held = [held + more for held, more in zip(self.held, new, strict=True)]
        for layer, after in self._after.items():
            state = self.read(layer)
            for one, made in zip(state, after(torch.tensor(new, device=state[0].device)), strict=True):
                one.copy_(made)
        self._after = {}

    def put(self, row: int, other: States, source: int) -> None:
        """Make row `row` a copy of row `source` of other states; `row` may be one beyond the rows in use."""
        for layer, state in self.numbers.items():
            for one, theirs in zip(state, other.numbers[layer], strict=True):
                one[row] = theirs[source]
        self.held[row : row + 1] = [other.held[source]]

    def select(self, rows: Sequence[int]) -> None:
        """Keep these rows in this order."""
        for state in self.numbers.values():
            for one in state:
                one[: len(rows)] = one[list(rows)]
        self.held = [self.held[row] for row in rows]

    def drop(self) -> None:
        """Give up the last row."""
        self.held.pop()
