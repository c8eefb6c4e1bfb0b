"""Shards: token files in datatrove's format, written in one pass and checked by size and hash.

train-00000.ds         token ids, little-endian uint16 (uint32 from 65,537 ids on), documents end to end
train-00000.ds.index   uint64 end of each document, in tokens
train-00000.ds.loss    one byte a token, 1 where it is learned; only where an objective leaves tokens out
train-00000.ds.ids     the documents' ids, one a line, zlib
train-00000.ds.columns         the columns of each document as JSON, one a line; only where an objective keeps some
train-00000.ds.columns.index   uint64 end of each of these lines, in bytes

A document that an objective encodes to several sequences is stored as that many documents of one id, in order.
"""

from __future__ import annotations

import json
import zlib
from array import array
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import numpy as np

from lilliput.base import files
from lilliput.data.rows import Encoded

SMALL_BYTES = 64 * 2**20
NAMES = 1024
"""Names of documents that are compressed together."""
NO_COLUMNS = b"\n"


def dtype_for(vocab_size: int) -> str:
    """Return the smallest type of datatrove that holds every id: uint16 or uint32."""
    return "uint16" if vocab_size <= 2**16 else "uint32"


class ShardWriter:
    """Writes the documents of one split into shards of about `shard_tokens` tokens. It holds 8 bytes of memory for each
    document of the current shard. `bos_id` is never learned where it opens a document. As a context manager the writer
    closes its files when writing fails."""

    def __init__(self, folder: Path, split: str, dtype: str, shard_tokens: int, bos_id: int):
        self.folder, self.split, self.dtype = folder, split, np.dtype(dtype).newbyteorder("<")
        self.largest = np.iinfo(self.dtype).max
        self.shard_tokens, self.bos_id = shard_tokens, bos_id
        self.shards: list[dict[str, Any]] = []
        self._open: _OpenShard | None = None
        self._sequences: int | None = None

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(self, *_: object) -> None:
        if self._open is not None:
            self._open.files.close()

    def add_document(self, sequences: Sequence[Encoded], name: str, size: int) -> None:
        """Appends the sequences of one document of `size` text bytes; OverflowError when an id does not fit the
        type."""
        count = len(sequences)
        # 0: documents of unequal numbers of sequences, which no row can hold as one
        self._sequences = count if self._sequences in (None, count) else 0
        for nth, encoded in enumerate(sequences):
            self.add(encoded, name, 0 if nth else size)

    def add(self, encoded: Encoded, name: str, size: int) -> None:
        """Appends a sequence of `size` text bytes; OverflowError when an id does not fit the type."""
        if self._open is None:
            self._open = _OpenShard(self.folder / f"{self.split}-{len(self.shards):05d}.ds", self)
        self._open.add(encoded, name, size)
        if self._open.tokens >= self.shard_tokens:
            self._close_shard()

    def _close_shard(self) -> None:
        if self._open is not None:
            self.shards.append(self._open.close())
            self._open = None

    def close(self) -> dict[str, Any]:
        """Finish the last shard and return the manifest's entry of this split."""
        self._close_shard()
        if any(_beside(Path(shard["name"]), "loss").name in shard["files"] for shard in self.shards):
            for shard in self.shards:
                self._complete_loss(shard)
        if any(_beside(Path(shard["name"]), "columns").name in shard["files"] for shard in self.shards):
            for shard in self.shards:
                self._complete_columns(shard)
        totals = {key: sum(s[key] for s in self.shards) for key in ("tokens", "documents", "text_bytes", "learned")}
        several = {} if self._sequences in (None, 1) else {"sequences": self._sequences}
        return {**totals, **several, "shards": self.shards}

    def _complete_loss(self, shard: dict[str, Any]) -> None:
        """Write the .loss file of a shard that has none. Either all shards of a split have one or none has, so that a
        reader has one rule."""
        path = self.folder / shard["name"]
        loss = _beside(path, "loss")
        if loss.name not in shard["files"]:
            ends = np.fromfile(_beside(path, "index"), dtype="<u8")
            loss.write_bytes(bounds_mask(path, self.dtype, ends, self.bos_id).tobytes())
            shard["files"][loss.name] = facts(loss)

    def _complete_columns(self, shard: dict[str, Any]) -> None:
        """Write the columns of a shard that has none: an empty line for each document."""
        lines = _beside(self.folder / shard["name"], "columns")
        if lines.name not in shard["files"]:
            count = shard["documents"]
            lines.write_bytes(NO_COLUMNS * count)
            ends = _beside(lines, "index")
            ends.write_bytes(np.arange(1, count + 1, dtype="<u8").tobytes())
            shard["files"] |= {lines.name: facts(lines), ends.name: facts(ends)}


def bounds_mask(path: Path, dtype: np.dtype, ends: np.ndarray, bos_id: int) -> np.ndarray:
    """Return a mask, (tokens,) uint8, that is 0 where a document opens with BOS and 1 elsewhere, for the documents that
    end at `ends`, (documents,), in a .ds file. Example: the documents [BOS, 5, 6] and [7, 8] give 0 1 1 1 1."""
    mask = np.ones(int(ends[-1]) if len(ends) else 0, dtype=np.uint8)
    if len(mask):
        starts = np.concatenate([[0], ends[:-1]]).astype(np.int64)
        ids = np.memmap(path, dtype=dtype, mode="r", shape=mask.shape)
        mask[starts[ids[starts] == bos_id]] = 0
    return mask


class _OpenShard:
    """A shard while it is written."""

    def __init__(self, path: Path, writer: ShardWriter):
        self.path, self.writer = path, writer
        self.tokens = self.text_bytes = self.learned = 0
        self._ends = array("Q")
        self.files = ExitStack()
        self._tokens = self._file(path)
        self._names = self._file(_beside(path, "ids"))
        self._compress = zlib.compressobj(
            level=1
        )  # names differ by a number: a higher level would take longer than writing the tokens
        self._waiting: list[str] = []
        self._loss: IO[bytes] | None = None
        self._columns: IO[bytes] | None = None
        self._column_ends = array("Q")

    def _file(self, path: Path) -> IO[bytes]:
        return self.files.enter_context(open(path, "wb", buffering=2**20))

    def add(self, encoded: Encoded, name: str, size: int) -> None:
        ids = np.asarray(encoded.ids)
        if len(ids) and ids.max() > self.writer.largest:
            raise OverflowError(f"id {ids.max()} does not fit {self.writer.dtype}")
        opened = int(len(ids) > 0 and ids[0] == self.writer.bos_id)
        if encoded.learn is not None or self._loss is not None:
            mask = np.zeros(len(ids), dtype=np.uint8)
            for start, stop in [(opened, len(ids))] if encoded.learn is None else encoded.learn:
                mask[start:stop] = 1
            if self._loss is None:
                self._loss = self._begin_loss()
            self._loss.write(mask.tobytes())
            self.learned += int(mask.sum())
        else:
            self.learned += len(ids) - opened
        if encoded.columns is not None or self._columns is not None:
            self._add_columns(encoded)
        self._tokens.write(ids.astype(self.writer.dtype).tobytes())
        self._waiting.append(name.replace("\n", " "))
        if len(self._waiting) == NAMES:
            self._write_names()
        self.tokens += len(ids)
        self.text_bytes += size
        self._ends.append(self.tokens)

    def _add_columns(self, encoded: Encoded) -> None:
        if self._columns is None:
            self._columns = self._file(_beside(self.path, "columns"))
            self._columns.write(NO_COLUMNS * len(self._ends))
            self._column_ends.extend(range(1, len(self._ends) + 1))
        before = self._column_ends[-1] if self._column_ends else 0
        line = b"" if encoded.columns is None else json.dumps(dict(encoded.columns), allow_nan=False).encode()
        self._columns.write(line + NO_COLUMNS)
        self._column_ends.append(before + len(line) + 1)

    def _write_names(self) -> None:
        lines = "".join(f"{name}\n" for name in self._waiting)
        self._names.write(self._compress.compress(lines.encode("utf-8", "replace")))
        self._waiting.clear()

    def _begin_loss(self) -> IO[bytes]:
        """Open the .loss file and fill it for the earlier documents, whose tokens are all learned but BOS."""
        self._tokens.flush()
        mask = bounds_mask(self.path, self.writer.dtype, np.array(self._ends, dtype=np.int64), self.writer.bos_id)
        loss = self._file(_beside(self.path, "loss"))
        loss.write(mask.tobytes())
        return loss

    def close(self) -> dict[str, Any]:
        self._write_names()
        self._names.write(self._compress.flush())
        written = [self.path, _beside(self.path, "index"), _beside(self.path, "ids")]
        self.files.close()
        written[1].write_bytes(np.array(self._ends, dtype="<u8").tobytes())
        if self._loss is not None:
            written.append(_beside(self.path, "loss"))
        if self._columns is not None:
            written += [_beside(self.path, "columns"), _beside(self.path, "columns.index")]
            written[-1].write_bytes(np.array(self._column_ends, dtype="<u8").tobytes())
        return {
            "name": self.path.name,
            "tokens": self.tokens,
            "documents": len(self._ends),
            "text_bytes": self.text_bytes,
            "learned": self.learned,
            "files": {path.name: facts(path) for path in written},
        }


def facts(path: Path) -> dict[str, Any]:
    """Return size and hash of a file, as a manifest holds them."""
    return {"bytes": path.stat().st_size, "sha256": files.sha256(path)}


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(f"{path.name}.{suffix}")


def listed(splits: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return size and hash of every file of these splits of a manifest."""
    return {name: known for split in splits for shard in split["shards"] for name, known in shard["files"].items()}


def problem(folder: Path, known: Mapping[str, Any], hashes: bool | None = None) -> str | None:
    """Return the first problem with the files of a folder, None without a problem. Sizes are always compared. Hashes
    are compared when asked for, or by default where all files together are small (64 MiB)."""
    for name, expected in known.items():
        path = folder / name
        if not path.is_file():
            return f"{name} is missing"
        if path.stat().st_size != expected["bytes"]:
            return f"{name} has {path.stat().st_size:,} bytes instead of {expected['bytes']:,}"
    if hashes is None:
        hashes = sum(expected["bytes"] for expected in known.values()) <= SMALL_BYTES
    if hashes:
        for name, expected in known.items():
            if files.sha256(folder / name) != expected["sha256"]:
                return f"the content of {name} has changed (SHA-256)"
    return None
