"""Split: the tokens of one side of a dataset, memory-mapped."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from lilliput.data.examples import TEXTS


class Stream:
    """An array, (length,), whose parts lie in several files. Indexing with a slice (of step 1) or with positions
    copies."""

    def __init__(self, parts: Sequence[np.ndarray]):
        self._parts = list(parts)
        self._bounds = np.cumsum([0, *(len(part) for part in parts)])

    def __len__(self) -> int:
        return int(self._bounds[-1])

    def __getitem__(self, index: int | slice | np.ndarray) -> Any:
        """Return a number for a position (from 0); an int64 array, (stop - start,), for a slice; an int64 array of the
        positions' shape for an array of positions."""
        if isinstance(index, slice):
            start, stop, _ = index.indices(len(self))
            return self._slice(start, max(start, stop))
        positions = np.asarray(index)
        flat = positions.ravel()
        if len(self._parts) == 1:
            values = self._parts[0][flat].astype(np.int64)
        else:
            values = np.empty(len(flat), dtype=np.int64)
            part_of = np.searchsorted(self._bounds, flat, side="right") - 1
            for part in np.unique(part_of):
                inside = part_of == part
                values[inside] = self._parts[part][flat[inside] - self._bounds[part]]
        return values.reshape(positions.shape) if positions.ndim else int(values[0])

    def _slice(self, start: int, stop: int) -> np.ndarray:
        pieces = [
            part[max(start - low, 0) : max(stop - low, 0)]
            for part, low in zip(self._parts, self._bounds[:-1].tolist(), strict=True)
            if low < stop and low + len(part) > start
        ]
        return np.concatenate(pieces).astype(np.int64) if pieces else np.empty(0, dtype=np.int64)

    def blocks(self, size: int = 2**20) -> Iterator[np.ndarray]:
        """Yield the whole stream in order, in int64 arrays, (n,) with n at most `size`."""
        for start in range(0, len(self), size):
            yield self[start : start + size]


class Split:
    """Documents as token ids, memory-mapped; 16 bytes a document are held in memory.

    tokens      number of token ids, bounds included
    documents   number of documents, or of sequences where a document has several
    sequences   number of sequences of each document; 0 where documents differ in this number
    text_bytes  UTF-8 bytes of the documents' text: the divisor of bits per byte
    kinds       number of documents of each kind (see Document.kind)
    learned     number of tokens that are targets: all but the opening BOS, or fewer by the objective's choice
    stream      all ids end to end
    learn       a stream of the same length, 1 where a token is learned; None where all but an opening BOS are learned
    ends        (documents,) int64 end of each document in the stream
    """

    def __init__(self, folder: Path, name: str, facts: dict[str, Any], dtype: str):
        self.name = name
        self.tokens, self.documents = int(facts["tokens"]), int(facts["documents"])
        self.sequences = int(facts.get("sequences", 1))
        self.text_bytes, self.learned = int(facts["text_bytes"]), int(facts["learned"])
        self.kinds: dict[str, int] = dict(facts.get("kinds", {}))
        shards = [(folder / shard["name"], shard) for shard in facts["shards"]]
        self._paths = [path for path, _ in shards]
        self.stream = Stream([_map(path, np.dtype(dtype).newbyteorder("<"), shard["tokens"]) for path, shard in shards])
        masks = [path.with_name(f"{path.name}.loss") for path, shard in shards if f"{path.name}.loss" in shard["files"]]
        self.learn = Stream([_map(path, "u1", path.stat().st_size) for path in masks]) if masks else None
        self._columns = [_Lines(path) for path, shard in shards if f"{path.name}.columns" in shard["files"]]
        offsets = np.cumsum([0, *(shard["tokens"] for _, shard in shards)])
        ends = [np.fromfile(f"{path}.index", dtype="<u8").astype(np.int64) for path, _ in shards]
        ends = [part + offset for part, offset in zip(ends, offsets[:-1], strict=True)]
        self.ends = np.concatenate(ends) if ends else np.empty(0, dtype=np.int64)
        self.starts = np.concatenate([[0], self.ends[:-1]]).astype(np.int64) if ends else self.ends
        self._counts = np.cumsum([0, *(shard["documents"] for _, shard in shards)])

    @property
    def has_examples(self) -> bool:
        """Whether documents are examples that are more than a text, so that a row begins where an example does."""
        return bool(self.kinds.keys() - TEXTS)

    def document(self, number: int) -> np.ndarray:
        """Return the ids of a document, (length,) int64, bounds included."""
        return self.stream[int(self.starts[number]) : int(self.ends[number])]

    def document_learn(self, number: int) -> np.ndarray | None:
        """(length,) bool: which ids of a document are learned; None where all but an opening BOS are learned."""
        if self.learn is None:
            return None
        return self.learn[int(self.starts[number]) : int(self.ends[number])].astype(bool)

    def document_id(self, number: int) -> str:
        """Return the id that the source gave the document."""
        shard, place = self._place(number)
        return _names(self._paths[shard])[place]

    @property
    def has_columns(self) -> bool:
        """Whether the objective kept columns."""
        return bool(self._columns)

    def columns(self, number: int) -> dict[str, Any]:
        """Return the columns that the objective kept beside the tokens of a document."""
        if not self._columns:
            return {}
        shard, place = self._place(number)
        return self._columns[shard].read(place)

    def learned_bytes(self, token_bytes: np.ndarray) -> int:
        """Return the UTF-8 bytes of the text of the learned tokens; `token_bytes` (V,) are the bytes of each id. Where
        all tokens are learned, these are all bytes of the text; else the learned tokens' share, which is exact for a
        byte-level tokenizer."""
        if self.learn is None:
            return self.text_bytes
        counted = learned = 0
        for ids, mask in zip(self.stream.blocks(), self.learn.blocks(), strict=True):
            sizes = token_bytes[ids]
            counted += int(sizes.sum())
            learned += int(sizes[mask.astype(bool)].sum())
        return round(self.text_bytes * learned / counted) if counted else 0

    def _place(self, number: int) -> tuple[int, int]:
        """Return the shard of a document, and the document's number in it."""
        shard = int(np.searchsorted(self._counts, number, side="right")) - 1
        return shard, number - int(self._counts[shard])


class _Lines:
    """The columns of a shard's documents."""

    def __init__(self, path: Path):
        self._ends = np.fromfile(f"{path}.columns.index", dtype="<u8").astype(np.int64)
        self._bytes = _map(Path(f"{path}.columns"), "u1", int(self._ends[-1]))

    def read(self, number: int) -> dict[str, Any]:
        start = int(self._ends[number - 1]) if number else 0
        line = self._bytes[start : int(self._ends[number])].tobytes()
        return json.loads(line) if line.strip() else {}


def _map(path: Path, dtype: Any, count: int) -> np.ndarray:
    return np.memmap(path, dtype=dtype, mode="r", shape=(count,))


@lru_cache(maxsize=2)
def _names(path: Path) -> list[str]:
    """Return the document ids of a shard. They are cached, because the ids of a row's documents are read together."""
    return zlib.decompress(Path(f"{path}.ids").read_bytes()).decode().split("\n")[:-1]
