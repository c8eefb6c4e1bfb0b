"""The header of a GGUF file. Every count is compared with the file's size before memory is used for its entries."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lilliput.base.errors import ExportError
from lilliput.base.reading import open_regular

VERSIONS = (2, 3)
LARGEST = 2**28
"""The most bytes of a header, which holds keys, vocabulary and the list of tensors."""
MOST_DIMENSIONS = 4
ALIGNMENT = "general.alignment"
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9


@dataclass(frozen=True, slots=True)
class Place:
    """The place of a tensor: its type by gguf's number, its shape in the file's order (the fastest first), and its
    first byte in the file."""

    kind: int
    shape: tuple[int, ...]
    start: int


@dataclass(slots=True)
class Header:
    """A file's description of itself."""

    keys: dict[str, Any] = field(default_factory=dict)
    tensors: dict[str, Place] = field(default_factory=dict)


def read_header(file: Path) -> Header:
    """Return the keys with their values, and the place of every tensor. Raises ExportError for a file that is cut
    short, counts more entries than it holds, names a key or tensor twice, or has another version or byte order."""
    with open_regular(file) as opened:
        cursor = _Cursor(opened.read(LARGEST), file)
    if cursor.take(4) != b"GGUF":
        raise ExportError(f"{file} is no GGUF file")
    version = cursor.number("I")
    if version not in VERSIONS:
        raise ExportError(
            f"{file} is version {version} of GGUF; read are {', '.join(map(str, VERSIONS))}, little-endian"
        )
    tensors, keys = cursor.count(24), cursor.count(13)
    header = Header()
    for _ in range(keys):
        name = cursor.text()
        if name in header.keys:
            raise ExportError(f"{file} holds the key '{name}' twice")
        header.keys[name] = cursor.value(cursor.number("I"))
    places: dict[str, tuple[int, tuple[int, ...], int]] = {}
    for _ in range(tensors):
        name = cursor.text()
        if name in places:
            raise ExportError(f"{file} holds the tensor '{name}' twice")
        dimensions = cursor.number("I")
        if not 1 <= dimensions <= MOST_DIMENSIONS:
            raise ExportError(f"{file}: {name} has {dimensions} dimensions, of at most {MOST_DIMENSIONS}")
        shape = tuple(cursor.number("Q") for _ in range(dimensions))
        places[name] = cursor.number("I"), shape, cursor.number("Q")
    alignment = header.keys.get(ALIGNMENT, 32)
    if type(alignment) is not int or not 1 <= alignment <= 2**16:
        raise ExportError(f"{file}: {ALIGNMENT} is {alignment!r}")
    begin = -(-cursor.at // alignment) * alignment
    for name, (kind, shape, offset) in places.items():
        header.tensors[name] = Place(kind, shape, begin + offset)
    return header


def stored(gguf: Any, file: Path, name: str, place: Place) -> tuple[Any, int]:
    """(type, bytes) of a tensor, by the sizes of the package's types. Raises ExportError for an unknown type, and for
    a tensor that reaches beyond the file."""
    try:
        kind = gguf.GGMLQuantizationType(place.kind)
    except ValueError:
        raise ExportError(f"{file} stores {name} as type {place.kind}, which the package gguf does not read") from None
    block, width = gguf.GGML_QUANT_SIZES[kind]
    count, held = math.prod(place.shape), file.stat().st_size
    if min(place.shape) < 1 or place.shape[0] % block:
        raise ExportError(f"{file}: {name} has the shape {list(place.shape)}, which blocks of {block} do not fill")
    size = count // block * width
    if place.start + size > held:
        raise ExportError(
            f"{file} is not a whole GGUF file: it has {held:,} bytes, and {name} ends at byte {place.start + size:,}",
            "copy or download it again",
        )
    return kind, size


class _Cursor:
    """Reads values one after another from bytes whose counts may be wrong."""

    def __init__(self, data: bytes, file: Path):
        self.data, self.file, self.at = data, file, 0

    def take(self, size: int) -> bytes:
        if size > len(self.data) - self.at:
            raise ExportError(
                f"{self.file} is not a whole GGUF file: {size:,} bytes are to follow byte {self.at:,}, and "
                f"{len(self.data) - self.at:,} do",
                "copy or download it again",
            )
        self.at += size
        return self.data[self.at - size : self.at]

    def number(self, form: str) -> Any:
        return struct.unpack(f"<{form}", self.take(struct.calcsize(form)))[0]

    def count(self, least: int) -> int:
        """Return the number of entries that follow. Raises ExportError where entries of at least `least` bytes would
        not fit into the file."""
        count = self.number("Q")
        if count * least > len(self.data) - self.at:
            raise ExportError(
                f"{self.file} is not a whole GGUF file: it counts {count:,} entries in {len(self.data) - self.at:,} "
                "bytes",
                "copy or download it again",
            )
        return count

    def text(self) -> str:
        size = self.number("Q")
        try:
            return self.take(size).decode()
        except UnicodeDecodeError:
            raise ExportError(f"{self.file} is damaged: a text before byte {self.at:,} is not UTF-8") from None

    def value(self, kind: int) -> Any:
        if kind == _STRING:
            return self.text()
        if kind in _SCALARS:
            return self.number(_SCALARS[kind])
        if kind != _ARRAY:
            raise ExportError(f"{self.file} is damaged: a value of the unknown type {kind} before byte {self.at:,}")
        kind = self.number("I")
        if kind == _STRING:
            return [self.text() for _ in range(self.count(8))]
        if kind not in _SCALARS:
            raise ExportError(f"{self.file} holds a list of values of type {kind}, which is not read")
        form = _SCALARS[kind]
        width = struct.calcsize(form)
        count = self.count(width)
        return np.frombuffer(self.take(count * width), f"<{form}").tolist()
