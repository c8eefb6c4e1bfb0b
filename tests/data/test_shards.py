"""Shards: what is written is what is read, here and in datatrove, and damage is seen."""

from contextlib import ExitStack

import numpy as np
import pytest

from lilliput.data.rows import Encoded
from lilliput.data.shards import ShardWriter, dtype_for, listed, problem
from lilliput.data.split import Split

BOS, EOS = 0, 1


def documents(count, learn=lambda number: None, seed=0):
    rng = np.random.default_rng(seed)
    return [
        Encoded([BOS, *rng.integers(2, 60_000, rng.integers(0, 30)).tolist(), EOS], learn(number))
        for number in range(count)
    ]


def write(folder, rows, shard_tokens=10**9, dtype="uint16"):
    with ShardWriter(folder, "train", dtype, shard_tokens, BOS) as writer:
        for number, row in enumerate(rows):
            writer.add(row, f"doc:{number}", 10 + number)
        return writer.close()


@pytest.mark.parametrize("shard_tokens", [1, 100, 10**9])
@pytest.mark.parametrize("dtype", ["uint16", "uint32"])
def test_a_split_reads_what_was_written(tmp_path, shard_tokens, dtype):
    rows = documents(50)
    facts = write(tmp_path, rows, shard_tokens, dtype)
    assert len(facts["shards"]) == {1: 50, 10**9: 1}.get(shard_tokens, len(facts["shards"]))
    split = Split(tmp_path, "train", facts, dtype)
    assert (split.documents, split.tokens) == (50, sum(len(row.ids) for row in rows))
    assert split.text_bytes == sum(10 + number for number in range(50))
    assert split.learned == split.tokens - 50
    for number, row in enumerate(rows):
        assert split.document(number).tolist() == row.ids
        assert split.document_id(number) == f"doc:{number}"
    whole = [number for row in rows for number in row.ids]
    assert np.concatenate(list(split.stream.blocks(77))).tolist() == whole
    assert split.stream[5:200].tolist() == whole[5:200]
    assert split.stream[np.array([[3, 400], [0, 399]])].tolist() == [[whole[3], whole[400]], [whole[0], whole[399]]]
    assert split.stream[7] == whole[7]
    assert split.learn is None
    assert split.document(0).dtype == np.int64


def test_the_smallest_type_that_fits():
    assert [dtype_for(size) for size in (300, 2**16, 2**16 + 1)] == ["uint16", "uint16", "uint32"]


def test_an_id_that_does_not_fit_is_an_error(tmp_path):
    with pytest.raises(OverflowError):
        write(tmp_path, [Encoded([70_000])])


@pytest.mark.parametrize("shard_tokens", [40, 10**9])
def test_spans_of_what_is_learned_are_kept(tmp_path, shard_tokens):
    # Only some documents say what is learned, and not the first: the others learn all but an opening BOS.
    rows = documents(30, lambda number: [(1, 2)] if number % 7 == 5 else None)
    rows.append(Encoded([5, 6, 7]))
    facts = write(tmp_path, rows, shard_tokens)
    split = Split(tmp_path, "train", facts, "uint16")
    expected = []
    for row in rows:
        mask = [int(not (place == 0 and number == BOS)) for place, number in enumerate(row.ids)]
        expected += mask if row.learn is None else [int(place == 1) for place in range(len(row.ids))]
    assert split.learn is not None
    assert split.learn[:].tolist() == expected
    assert split.learned == sum(expected)


def test_an_empty_split(tmp_path):
    split = Split(tmp_path, "validation", write(tmp_path, []), "uint16")
    assert (split.tokens, split.documents, len(split.stream), list(split.stream.blocks())) == (0, 0, 0, [])


@pytest.mark.parametrize("dtype", ["uint16", "uint32"])
def test_datatrove_reads_them(tmp_path, dtype):
    dataset = pytest.importorskip("datatrove.utils.dataset")
    rows = documents(40)
    facts = write(tmp_path, rows, 10**9, dtype)
    whole = Split(tmp_path, "train", facts, dtype).stream[:]
    size = np.dtype(dtype).itemsize
    theirs = dataset.DatatroveFileDataset(
        str(tmp_path / "train-00000.ds"), seq_len=15, token_size=size, return_positions=True
    )
    starts = {0, *np.cumsum([len(row.ids) for row in rows]).tolist()}
    assert len(theirs) == len(whole) // 16
    for number in range(len(theirs)):
        item = theirs[number]
        assert item["input_ids"].tolist() == whole[number * 16 : number * 16 + 16].tolist()
        inside = [place for place in range(1, 16) if item["positions"][place] == 0]
        assert inside == [place for place in range(1, 16) if number * 16 + place in starts]
    folder = dataset.DatatroveFolderDataset(str(tmp_path), seq_len=15, filename_pattern="*.ds", token_size=size)
    assert len(folder) == len(theirs)


@pytest.mark.parametrize("name", ["train-00000.ds", "train-00001.ds.index", "train-00000.ds.ids"])
@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
def test_damage_is_named(tmp_path, name, damage):
    facts = write(tmp_path, documents(20), shard_tokens=100)
    assert problem(tmp_path, listed([facts])) is None
    path = tmp_path / name
    data = bytearray(path.read_bytes())
    if damage == "flip":
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
        assert problem(tmp_path, listed([facts]), hashes=False) is None  # sizes alone cannot see it
        expected = f"the content of {name} has changed"
    elif damage == "cut":
        path.write_bytes(data[:-2])
        expected = f"{name} has {len(data) - 2:,} bytes instead of {len(data):,}"
    else:
        path.unlink()
        expected = f"{name} is missing"
    assert (problem(tmp_path, listed([facts])) or "").startswith(expected)


def test_files_are_closed_when_writing_fails(tmp_path):
    with ExitStack() as stack:
        writer = stack.enter_context(ShardWriter(tmp_path, "train", "uint16", 100, BOS))
        writer.add(Encoded([1, 2]), "a", 1)
        opened = writer._open
    assert opened is not None
    assert opened._tokens.closed


def test_the_bytes_of_what_is_learned(tmp_path):
    """Ids 2 to 9 of as many bytes: of [BOS, 2, 3, 4, EOS] the 3 and 4 are learned, 7 of 9 bytes of a text of 18."""
    sizes = np.arange(10) * (np.arange(10) > 1)
    (tmp_path / "a").mkdir()
    facts = write(tmp_path / "a", [Encoded([BOS, 2, 3, 4, EOS])])
    assert Split(tmp_path / "a", "train", facts, "uint16").learned_bytes(sizes) == 10
    (tmp_path / "b").mkdir()
    with ShardWriter(tmp_path / "b", "train", "uint16", 10**9, BOS) as writer:
        writer.add(Encoded([BOS, 2, 3, 4, EOS], [(2, 4)]), "one", 18)
        facts = writer.close()
    split = Split(tmp_path / "b", "train", facts, "uint16")
    assert (split.learned, split.learned_bytes(sizes)) == (2, 14)


@pytest.mark.parametrize("shard_tokens", [40, 10**9])
def test_columns_are_found_again_by_document(tmp_path, shard_tokens):
    rows = documents(30)
    rows = [
        Encoded(row.ids, None, {"score": n / 4, "label": "ä"} if n % 7 == 5 else None) for n, row in enumerate(rows)
    ]
    split = Split(tmp_path, "train", write(tmp_path, rows, shard_tokens), "uint16")
    assert split.has_columns
    for number, row in enumerate(rows):
        assert split.columns(number) == (row.columns or {})
