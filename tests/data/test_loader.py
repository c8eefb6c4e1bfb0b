"""The loader: an endless stream of rows that depends on nothing but its position."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lilliput.base.errors import DataError
from lilliput.data.loader import Loader
from lilliput.data.rows import Encoded
from lilliput.data.shards import ShardWriter
from lilliput.data.split import Split

BOS, EOS, PAD = 0, 1, 2
PACKINGS = ("contiguous", "aligned", "best_fit")


def make(folder, count=40, shard_tokens=10**9, learn=None, bos=True):
    """A split in which every text token is different, so that a row tells where it comes from."""
    rng = np.random.default_rng(0)
    following = 10
    with ShardWriter(folder, "train", "uint32", shard_tokens, BOS) as writer:
        for number in range(count):
            size = int(rng.integers(1, 50))
            ids = [*[BOS] * bos, *range(following, following + size), EOS]
            following += size
            writer.add(Encoded(ids, learn and learn(ids)), f"doc:{number}", size)
        return Split(folder, "train", writer.close(), "uint32")


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    return make(tmp_path_factory.mktemp("split"))


def loader(split, context=16, seed=5, packing="contiguous"):
    return Loader(split, context, seed, packing, BOS, PAD)


def same(first, second):
    return all(
        np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b
        for a, b in zip(
            (first.tokens, first.learn, first.segments, first.documents),
            (second.tokens, second.learn, second.segments, second.documents),
            strict=True,
        )
    )


@pytest.mark.parametrize("packing", PACKINGS)
def test_rows_have_the_shapes_and_types_of_the_contract(split, packing):
    rows = loader(split, packing=packing).take(3, 7)
    assert rows.tokens.shape == rows.learn.shape == (7, 17)
    assert (rows.tokens.dtype, rows.learn.dtype) == (np.int64, np.float32)
    assert (rows.segments is None) == (packing != "best_fit")
    assert len(rows.documents) == 7


@pytest.mark.parametrize("packing", PACKINGS)
@given(position=st.integers(0, 400), count=st.integers(1, 12))
@settings(max_examples=30)
def test_rows_are_a_function_of_the_position_alone(split, packing, position, count):
    together = loader(split, packing=packing).take(position, count)
    one = loader(split, packing=packing)
    for number in reversed(range(count)):  # in another order, by another loader
        row = one.take(position + number, 1)
        assert np.array_equal(row.tokens[0], together.tokens[number])
        assert np.array_equal(row.learn[0], together.learn[number])
        assert row.documents[0] == together.documents[number]


@pytest.mark.parametrize("packing", PACKINGS)
def test_epochs_and_seeds_differ_and_an_epoch_has_every_target_about_once(split, packing):
    first = loader(split, packing=packing)
    count = first.rows_per_epoch
    epochs = [first.take(epoch * count, count) for epoch in (0, 1)]
    assert not np.array_equal(epochs[0].tokens, epochs[1].tokens)
    assert not np.array_equal(epochs[0].tokens, loader(split, seed=6, packing=packing).take(0, count).tokens)
    for rows in epochs:
        targets = rows.tokens[:, 1:][rows.learn[:, 1:] > 0]
        numbers, counts = np.unique(targets[targets >= 10], return_counts=True)
        assert (counts == 1).all() if packing != "aligned" else set(counts.tolist()) == {1, 2}
        missing = split.tokens - 2 * split.documents - len(numbers)
        assert missing == 0 if packing == "best_fit" else missing <= 16 * 2


@pytest.mark.parametrize("packing", PACKINGS)
def test_what_is_learned_is_all_but_bos_and_padding(split, packing):
    rows = loader(split, packing=packing).take(0, 60)
    assert (rows.learn[(rows.tokens == BOS) | (rows.tokens == PAD)] == 0).all()
    inside = rows.tokens >= 10
    if packing != "best_fit":
        assert (rows.learn[inside | (rows.tokens == EOS)] == 1).all()
    else:
        assert rows.segments is not None
        opens = np.diff(rows.segments, axis=1, prepend=-2) != 0
        assert (rows.learn[inside & ~opens] == 1).all()
        assert (rows.learn[opens] == 0).all()


def test_windows_are_neighbouring_pieces_of_the_documents_in_a_ring(split):
    first = loader(split)
    rows = first.take(0, first.rows_per_epoch)
    ring = np.concatenate([split.stream[:], split.stream[:]])
    for tokens, documents in zip(rows.tokens, rows.documents, strict=True):
        marker = tokens[tokens >= 10][0]
        place = int(np.flatnonzero(ring == marker)[0]) - int(np.flatnonzero(tokens == marker)[0])
        assert np.array_equal(tokens, ring[place : place + 17] if place >= 0 else ring[place + split.tokens :][:17])
        spanned = {int(np.searchsorted(split.ends, (place + k) % split.tokens, side="right")) for k in range(17)}
        assert set(documents) == spanned


def test_no_target_crosses_a_document_with_segments(split):
    rows = loader(split, packing="best_fit").take(0, 200)
    assert rows.segments is not None
    document_of = {int(number): n for n in range(split.documents) for number in split.document(n) if number >= 10}
    for tokens, segments, documents in zip(rows.tokens, rows.segments, rows.documents, strict=True):
        assert ((tokens == PAD) == (segments == -1)).all()
        for segment, document in enumerate(documents):
            mine = tokens[segments == segment]
            assert {document_of[int(number)] for number in mine if number >= 10} <= {document}
            assert len(mine) > 0


@pytest.mark.parametrize("packing", PACKINGS)
def test_several_shards_are_as_one(tmp_path, split, packing):
    many = make(tmp_path, shard_tokens=64)
    assert len(many._paths) > 5
    assert same(loader(many, packing=packing).take(0, 50), loader(split, packing=packing).take(0, 50))


@pytest.mark.parametrize("packing", PACKINGS)
def test_spans_of_what_is_learned_reach_the_rows(tmp_path, packing):
    answers = make(tmp_path, learn=lambda ids: [(len(ids) // 2, len(ids))])
    learned = {int(n) for d in range(answers.documents) for n in answers.document(d)[len(answers.document(d)) // 2 :]}
    rows = loader(answers, packing=packing).take(0, 60)
    opens = (
        np.diff(rows.segments, axis=1, prepend=-2) != 0
        if rows.segments is not None
        else np.zeros_like(rows.learn, bool)
    )
    for number, learn, opened in zip(rows.tokens.ravel(), rows.learn.ravel(), opens.ravel(), strict=True):
        if number >= 10 and not opened:
            assert learn == (int(number) in learned)


def test_a_document_without_bos_is_learned_from_its_first_token(tmp_path):
    rows = loader(make(tmp_path, bos=False)).take(0, 60)
    assert (rows.learn == 1).all()


@pytest.mark.parametrize("packing", PACKINGS)
def test_a_context_longer_than_the_split_gives_the_numbers(split, packing):
    with pytest.raises(DataError, match=r"context of 5,000 tokens is longer than the whole train split") as caught:
        loader(split, context=5000, packing=packing)
    assert f"{split.tokens:,} tokens in 40 documents" in str(caught.value)
    fits = int((caught.value.hint or "").split("model.context_length=")[1])
    assert loader(split, context=fits, packing=packing).take(0, 3).tokens.shape == (3, fits + 1)


def test_padding_fills_a_row_that_all_there_is_does_not(split):
    rows = loader(split, context=2000, packing="best_fit").take(0, 2)
    assert rows.tokens.shape == (2, 2001)
    with pytest.raises(DataError, match="longer than the whole train split"):
        loader(split, context=2000)
    assert rows.segments is not None
    assert (rows.segments[0] >= 0).sum() == split.tokens


def test_the_smallest_split_that_holds_a_row(split):
    one = loader(split, context=split.tokens - 1)
    assert one.rows_per_epoch == 1
    assert sorted(one.take(0, 1).tokens[0].tolist()) == sorted(split.stream[:].tolist())


@pytest.mark.parametrize("packing", PACKINGS)
def test_documents_of_rows_are_named_once(split, packing):
    first = loader(split, packing=packing)
    rows = first.take(0, 5)
    names = first.document_ids(rows)
    assert len(names) == len(set(names))
    assert set(names) == {f"doc:{number}" for row in rows.documents for number in row}


@pytest.mark.parametrize("context", [7, 16, 64])
def test_aligned_rows_begin_with_a_document_and_leave_nothing_out(split, context):
    """Every text token is different, so rows tell where they come from: the first token of a row is a beginning, or
    the last target of the row before; over an epoch every token but the first beginning is a target."""
    whole = loader(split, context, packing="aligned")
    rows = whole.take(0, whole.rows_per_epoch)
    begins = rows.tokens[:, 0]
    continued = begins != BOS
    assert set(begins[continued].tolist()) <= set(rows.tokens[:, -1].tolist())
    lengths = split.ends - split.starts
    assert continued.any() == (lengths.max() > context + 1)
    assert set(split.stream[1:].tolist()) <= set(rows.tokens[:, 1:].ravel().tolist())
    assert whole.rows_per_epoch * context < 2 * split.tokens + 2 * context


def test_aligned_rows_hold_a_document_whole_that_fits_into_one(split):
    context = 64
    rows = loader(split, context, packing="aligned").take(0, 200)
    for tokens in rows.tokens:
        length = int(np.argmax(tokens == EOS)) + 1
        assert tokens[0] == BOS
        assert np.array_equal(np.diff(tokens[1 : length - 1]), np.ones(length - 3))
