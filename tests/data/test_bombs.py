"""Small files that unpack to far more than text does, and files that are none."""

import gzip
import os
import zlib
from pathlib import Path

import pytest

from lilliput.base.errors import DataError
from lilliput.data.files import MOST_UNPACKED, byte_blocks
from lilliput.data.infer import infer_sources
from lilliput.data.parquet import Parquet, whole_rows
from lilliput.data.source import MAX_DOCUMENT_CHARACTERS


def test_gzip_that_unpacks_to_gigabytes_is_refused(tmp_path: Path) -> None:
    packer = zlib.compressobj(9, wbits=31)
    block = b"a" * 2**20
    data = b"".join(packer.compress(block) for _ in range(2 * MOST_UNPACKED // 2**20)) + packer.flush()
    file = tmp_path / "data.txt.gz"
    file.write_bytes(data)
    with pytest.raises(DataError, match="unpack to more than 200 times"):
        for _ in byte_blocks(file):
            pass


def test_gzip_of_text_is_read(tmp_path: Path) -> None:
    file = tmp_path / "data.txt.gz"
    file.write_bytes(gzip.compress(b"a\n\n" * 100_000))  # 700 times as much, and small
    assert sum(map(len, byte_blocks(file))) == 300_000


def test_a_parquet_text_that_every_row_repeats_is_refused_by_its_length(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    file = tmp_path / "data.parquet"
    text = "x" * (MAX_DOCUMENT_CHARACTERS + 1)
    pq.write_table(pa.table({"text": pa.array([text]).take(pa.array([0] * 8))}), file, compression="zstd")
    assert file.stat().st_size < 50_000
    with pytest.raises(DataError, match=r"data\.parquet:1: a text of 16,777,217 characters is longer than 16,777,216"):
        next(iter(Parquet(paths=(str(file),)).documents()))
    with pytest.raises(DataError, match="longer than 16,777,216"):
        next(whole_rows(file))


def test_a_parquet_column_that_unpacks_to_far_more_is_refused(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    file = tmp_path / "data.parquet"
    table = pa.table({"text": ["x" * 10_000_000] * 30})
    pq.write_table(table, file, compression="zstd", use_dictionary=False)
    assert file.stat().st_size < 2**20
    with pytest.raises(DataError, match="of the column 'text' unpack to 300,"):
        next(iter(Parquet(paths=(str(file),)).documents()))


def test_parquet_with_nulls_and_repeats_is_read(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    file = tmp_path / "data.parquet"
    columns = {
        "text": ["a", None, "b", "a"],
        "n": [1, None, 3, 4],
        "t": ["x", "x", None, "y"],
        "l": [["p"], [], None, ["q"]],
    }
    pq.write_table(pa.table(columns), file)
    rows = list(Parquet(paths=(str(file),), keep=("n", "t", "l")).rows(file, "strict"))
    assert [row["text"] for _, row in rows] == columns["text"]
    assert [(row["n"], row["t"], row["l"]) for _, row in rows] == list(
        zip(columns["n"], columns["t"], columns["l"], strict=True)
    )
    assert [row["l"] for row in whole_rows(file)] == columns["l"]


def test_a_pipe_among_the_data_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.txt")
    (tmp_path / "self.txt").symlink_to(tmp_path / "self.txt")
    for name in ("pipe.txt", "self.txt", "."):
        with pytest.raises(DataError):
            infer_sources([str(tmp_path / name)])
