"""Checks of a kernel's arguments before it reads or writes memory, because C++ does not check shapes and types."""

from __future__ import annotations

from collections.abc import Sequence

import torch

DTYPES = (torch.float32, torch.bfloat16)
FLOAT = (torch.float32,)


def expect(
    name: str,
    x: torch.Tensor,
    shape: Sequence[int | None],
    dtypes: Sequence[torch.dtype] = DTYPES,
) -> None:
    """Raise TypeError where `x` is no tensor. Raise ValueError where `x` is not a dense, contiguous tensor on the CPU
    with this shape (None: any size) and one of these dtypes, or where its storage is shorter than its shape."""
    if not isinstance(x, torch.Tensor):
        raise TypeError(f"{name} is a {type(x).__name__} and has to be a tensor")
    found, wanted = tuple(x.shape), tuple("any" if size is None else size for size in shape)
    if len(found) != len(shape) or any(size not in (None, have) for size, have in zip(shape, found, strict=True)):
        raise ValueError(f"{name} has the shape {found} and needs {' x '.join(map(str, wanted)) or 'no dimension'}")
    expect_memory(name, x, dtypes)


def expect_memory(name: str, x: torch.Tensor, dtypes: Sequence[torch.dtype] = DTYPES) -> None:
    """Check a tensor of any shape in the same way."""
    if not isinstance(x, torch.Tensor):
        raise TypeError(f"{name} is a {type(x).__name__} and has to be a tensor")
    if x.device.type != "cpu" or x.layout != torch.strided:
        raise ValueError(f"{name} is {x.layout} on {x.device}: the kernels read dense tensors on the CPU")
    if x.dtype not in dtypes:
        raise ValueError(f"{name} is {x.dtype}: the kernels read {' or '.join(map(str, dtypes))} there")
    if not x.is_contiguous():
        raise ValueError(f"{name} is not contiguous: the kernels read contiguous tensors only")
    if x.numel():
        held = x.untyped_storage().nbytes() // x.element_size() - x.storage_offset()
        if held < x.numel():
            raise ValueError(f"{name} has {x.numel():,} numbers and memory for {max(held, 0):,}")
        if x.data_ptr() % x.element_size():
            raise ValueError(f"{name} does not begin at a multiple of its numbers' size")


def expect_last(name: str, x: torch.Tensor) -> int:
    """Return the width of x (..., width). Raises ValueError where x has no last dimension, or its dtype is none of
    DTYPES."""
    expect_memory(name, x)
    if not x.dim() or not x.shape[-1]:
        raise ValueError(f"{name} has the shape {tuple(x.shape)} and needs numbers along a last dimension")
    return x.shape[-1]


def expect_probability(probability: float) -> None:
    """Raise ValueError for a probability outside [0, 1), because the kept numbers are divided by 1 - probability."""
    if not 0 <= probability < 1 or round(probability * 2**32) >= 2**32:
        raise ValueError(f"a dropout of {probability} is impossible: it has to be at least 0 and below 1")


def expect_seed(drawn: torch.Tensor | None) -> None:
    """Raise ValueError where dropout has no scalar int64 as its seed."""
    if drawn is None:
        raise ValueError("dropout needs a seed")
    expect("the seed", drawn, (), (torch.int64,))


def expect_bounds(first: torch.Tensor | None, last: torch.Tensor | None, rows: int, length: int) -> None:
    """Raise ValueError where `first` or `last` is given and is not (rows, length) int32, where `first` does not hold a
    position from 0 to t at each position t, or where `last` does not hold a position from t to length - 1."""
    if first is not None:
        expect("first", first, (rows, length), (torch.int32,))
        if first.numel() and (int(first.min()) < 0 or bool((first > torch.arange(length)).any())):
            raise ValueError("first has to hold, for each position, the first position that it sees: from 0 to itself")
    if last is not None:
        expect("last", last, (rows, length), (torch.int32,))
        if last.numel() and (int(last.max()) >= length or bool((last < torch.arange(length)).any())):
            raise ValueError(
                "last has to hold, for each position, the last position that it sees: from itself to the row's last"
            )
