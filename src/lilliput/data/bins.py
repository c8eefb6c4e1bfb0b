"""Token files of nanoGPT and llm.c."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import numpy as np

from lilliput.base.errors import DataError

# llm.c's header is 256 int32: magic, version, number of tokens. Version 1 holds uint16 (GPT-2), version 7 uint32
# (Llama 3).
HEADER = 256
LLMC = {(20240520, 1): "<u2", (20240801, 7): "<u4"}


def read_bin(path: Path) -> np.ndarray:
    """Return the tokens of a `.bin` file, memory-mapped, (tokens,) uint16 or uint32.

    A file with llm.c's header is read as llm.c's; any other file as nanoGPT's bare uint16. Raises DataError for a file
    that is neither."""
    size = path.stat().st_size
    if size == 0 or size % 2:
        raise DataError(f"{path} is not a file of tokens: {size:,} bytes")
    head = np.fromfile(path, dtype="<i4", count=HEADER) if size >= HEADER * 4 else np.zeros(3, dtype="<i4")
    dtype = LLMC.get((int(head[0]), int(head[1])))
    if dtype is None:
        return np.memmap(path, dtype="<u2", mode="r")
    count = int(head[2])
    if size != HEADER * 4 + count * np.dtype(dtype).itemsize:
        raise DataError(f"{path} is cut short: its header counts {count:,} tokens, its size is {size:,} bytes")
    return np.memmap(path, dtype=dtype, mode="r", offset=HEADER * 4, shape=(count,))


def write_bin(path: Path, blocks: Iterable[np.ndarray], layout: Literal["nanogpt", "llmc"], vocab_size: int) -> int:
    """Write blocks of tokens, each (n,) integers, such as `split.stream.blocks()`, and return the number of tokens.

    nanoGPT's files hold uint16 only; llm.c's hold uint32 where the vocabulary needs it. Raises DataError for a
    vocabulary or a number of tokens that the layout cannot hold."""
    wide = vocab_size > 2**16
    if wide and layout == "nanogpt":
        raise DataError(
            f"nanoGPT's files hold ids up to 65,535 and the vocabulary has {vocab_size:,}", "write the llm.c layout"
        )
    (magic, version), dtype = next(entry for entry in LLMC.items() if entry[1] == ("<u4" if wide else "<u2"))
    count = 0
    with open(path, "wb") as file:
        if layout == "llmc":
            file.write(bytes(HEADER * 4))
        for block in blocks:
            file.write(block.astype(dtype).tobytes())
            count += len(block)
        if layout == "llmc":
            if count >= 2**31:
                raise DataError(
                    f"llm.c's header counts up to 2,147,483,647 tokens, not {count:,}", "write several files"
                )
            file.seek(0)
            file.write(np.array([magic, version, count], dtype="<i4").tobytes())
    return count
