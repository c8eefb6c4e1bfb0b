"""Headers that lie: counts beyond the file, keys that stand twice, values of other types, pickles that are packed."""

import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lilliput.base.errors import ExportError, LilliputError
from lilliput.formats import gguf_tokenizer
from lilliput.formats.format import FORMATS
from lilliput.formats.gguf_header import read_header


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value)) + value.encode()


def gguf(
    file: Path, keys: bytes = b"", count: int = 0, tensors: bytes = b"", places: int = 0, version: int = 3
) -> Path:
    file.write_bytes(b"GGUF" + struct.pack("<IQQ", version, places, count) + keys + tensors)
    return file


def number(name: str, value: int) -> bytes:
    return text(name) + struct.pack("<II", 4, value)


TENSOR = text("a") + struct.pack("<IQIQ", 1, 8, 0, 0)
LIES: dict[str, tuple[dict[str, Any], str]] = {
    "keys": ({"count": 2**60}, "counts 1,152,921,504,606,846,976 entries"),
    "tensors": ({"places": 2**60}, "counts"),
    "a text": ({"keys": struct.pack("<Q", 2**62), "count": 1}, "counts|are to follow"),
    "a list": ({"keys": text("a") + struct.pack("<IIQ", 9, 4, 2**61), "count": 1}, "counts 2,305"),
    "a list of lists": ({"keys": text("a") + struct.pack("<IIQ", 9, 9, 1), "count": 1}, "a list of values of type 9"),
    "a type": ({"keys": text("a") + struct.pack("<IQ", 99, 1), "count": 1}, "unknown type 99"),
    "a key twice": ({"keys": number("a", 1) + number("a", 2), "count": 2}, "the key 'a' twice"),
    "a tensor twice": ({"tensors": TENSOR * 2, "places": 2}, "the tensor 'a' twice"),
    "dimensions": ({"tensors": text("a") + struct.pack("<I", 10**6) + bytes(100), "places": 1}, "1000000 dimensions"),
    "alignment": ({"keys": number("general.alignment", 0), "count": 1}, "general.alignment is 0"),
    "version": ({"version": 2**24 * 3}, "is version 50331648 of GGUF"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_gguf_header_that_lies_is_refused(lie: str, tmp_path: Path) -> None:
    changes, reason = LIES[lie]
    with pytest.raises(ExportError, match=reason):
        read_header(gguf(tmp_path / "model.gguf", **changes))


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ({}, "'tokenizer.ggml.tokens' is not there"),
        ({"tokens": [1, 2]}, "of a wrong type"),
        ({"tokens": "ab"}, "of a wrong type"),
        ({"tokens": ["a", "a"]}, "holds 'a' 2 times"),
        ({"tokens": ["a" * 5000]}, "a piece of 5,000 characters"),
        ({"tokens": ["a", "b"], "token_type": [1]}, "1 entries, and there are 2 pieces"),
        ({"tokens": ["a", "b"]}, "'tokenizer.ggml.merges' is not there"),
    ],
)
def test_a_gguf_vocabulary_without_sense_is_refused(keys: dict[str, Any], reason: str) -> None:
    named = {"model": "gpt2", "pre": "qwen2", **keys}
    with pytest.raises(LilliputError, match=reason):
        gguf_tokenizer.read({f"tokenizer.ggml.{name}": value for name, value in named.items()}, Path("model.gguf"))


@pytest.mark.parametrize("value", [-1, 0, 10**6, 2**31 - 1])
@pytest.mark.parametrize("place", range(5))
def test_a_header_of_llmc_that_lies_is_refused(place: int, value: int, tmp_path: Path) -> None:
    header = np.zeros(256, "<i4")
    header[:8] = (20240326, 3, 16, 300, 2, 2, 16, 300)
    header[2 + place] = value
    (tmp_path / "model.bin").write_bytes(header.tobytes())
    with pytest.raises(Exception, match=r"model\.bin") as refused:
        FORMATS["llmc"]().read(tmp_path / "model.bin")
    assert type(refused.value).__name__ in ("ExportError", "ConfigError")


@pytest.mark.parametrize("value", [-1, 0, 10**6, 2**31 - 1])
@pytest.mark.parametrize("place", range(7))
def test_a_header_of_llama2c_that_lies_is_refused(place: int, value: int, tmp_path: Path) -> None:
    numbers = [16, 32, 2, 2, 2, 300, 16]
    numbers[place] = value
    quantised = struct.pack("<Ii7iBi", 0x616B3432, 2, *numbers, 1, 16).ljust(256, b"\0")
    (tmp_path / "model.bin").write_bytes(quantised)
    with pytest.raises(Exception, match=r"model\.bin") as refused:
        FORMATS["llama2c"]().read(tmp_path / "model.bin")
    assert type(refused.value).__name__ in ("ExportError", "ConfigError")


class Large:
    """Asks for ten gigabytes when it is read, by a function that PyTorch's safe reader allows."""

    def __reduce__(self) -> Any:
        return bytearray, (10**10,)


def test_a_checkpoint_that_asks_for_memory_is_refused_before_it_is_read(tmp_path: Path) -> None:
    torch.save({"model": {}, "model_args": Large()}, tmp_path / "ckpt.pt")
    with pytest.raises(ExportError, match=r"it names (__builtin__|builtins) bytearray"):
        FORMATS["nanogpt"]().read(tmp_path / "ckpt.pt")


def test_a_checkpoint_that_is_packed_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "ckpt.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({}))
        archive.writestr("archive/data/0", bytes(10**8))
    assert (tmp_path / "ckpt.pt").stat().st_size < 2**20
    with pytest.raises(ExportError, match="may unpack to any size"):
        FORMATS["nanogpt"]().read(tmp_path / "ckpt.pt")
