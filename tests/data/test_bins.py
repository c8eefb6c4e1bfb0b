"""Token files of nanoGPT and llm.c."""

import numpy as np
import pytest

from lilliput.base.errors import DataError
from lilliput.data.bins import read_bin, write_bin

BLOCKS = [np.array([1, 2, 50_256]), np.array([7])]


def test_nanogpt_is_bare_uint16(tmp_path):
    path = tmp_path / "train.bin"
    assert write_bin(path, BLOCKS, "nanogpt", 50_257) == 4
    assert path.read_bytes() == np.array([1, 2, 50_256, 7], dtype="<u2").tobytes()
    assert read_bin(path).tolist() == [1, 2, 50_256, 7]


@pytest.mark.parametrize(
    ("vocab_size", "magic", "version", "dtype"), [(50_257, 20240520, 1, "<u2"), (128_256, 20240801, 7, "<u4")]
)
def test_llmc_has_a_header_of_256_numbers(tmp_path, vocab_size, magic, version, dtype):
    path = tmp_path / "train.bin"
    write_bin(path, [np.array([vocab_size - 1, 5])], "llmc", vocab_size)
    data = path.read_bytes()
    assert np.frombuffer(data[:1024], "<i4").tolist() == [magic, version, 2] + [0] * 253
    assert np.frombuffer(data[1024:], dtype).tolist() == [vocab_size - 1, 5]
    assert read_bin(path).tolist() == [vocab_size - 1, 5]


def test_what_cannot_be_written_or_read(tmp_path):
    with pytest.raises(DataError, match="ids up to 65,535 and the vocabulary has 70,000"):
        write_bin(tmp_path / "a.bin", BLOCKS, "nanogpt", 70_000)
    (tmp_path / "odd.bin").write_bytes(b"abc")
    with pytest.raises(DataError, match="not a file of tokens"):
        read_bin(tmp_path / "odd.bin")
    write_bin(tmp_path / "cut.bin", BLOCKS, "llmc", 300_00)
    (tmp_path / "cut.bin").write_bytes((tmp_path / "cut.bin").read_bytes()[:-2])
    with pytest.raises(DataError, match="its header counts 4 tokens"):
        read_bin(tmp_path / "cut.bin")


def test_a_split_goes_out_and_comes_back(tmp_path, corpus, prepared):
    split = prepared(corpus).split("train")
    write_bin(tmp_path / "a.bin", split.stream.blocks(100), "llmc", 300)
    assert np.array_equal(read_bin(tmp_path / "a.bin"), split.stream[:])
