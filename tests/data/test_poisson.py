"""The loader of DP-SGD: each document takes part in a batch by a draw of its own."""

from pathlib import Path

import numpy as np
import pytest

from lilliput.data.poisson import PoissonLoader
from tests.data.test_loader import BOS, EOS, PAD, make


@pytest.fixture(scope="module")
def loader(tmp_path_factory: pytest.TempPathFactory) -> PoissonLoader:
    split = make(tmp_path_factory.mktemp("split"), count=200)
    return PoissonLoader(split, 64, 5, bos_id=BOS, pad_id=PAD)


def test_rows_are_whole_documents_from_their_beginning(loader: PoissonLoader) -> None:
    rows = loader.take(0, 20)
    assert rows.segments is None
    assert rows.tokens.shape == rows.learn.shape == (len(rows.documents), rows.tokens.shape[1])
    ends = (rows.tokens == EOS).argmax(1)
    assert rows.tokens.shape[1] == ends.max() + 1  # as long as the longest of them
    for tokens, learn, (number,), end in zip(rows.tokens, rows.learn, rows.documents, ends, strict=True):
        first, last = loader.split.starts[number], loader.split.ends[number]
        assert tokens[: end + 1].tolist() == loader.split.stream[first:last].tolist()
        assert (tokens[end + 1 :] == PAD).all()
        assert learn.tolist() == [0.0, *[1.0] * end, *[0.0] * (len(tokens) - end - 1)]


def test_each_document_is_drawn_as_often_as_its_rate_says(loader: PoissonLoader) -> None:
    draws = [loader.take(20 * step, 20) for step in range(400)]
    times = np.bincount([number for rows in draws for (number,) in rows.documents], minlength=200)
    assert times.mean() == pytest.approx(40, rel=0.03)
    assert 0.8 < times.var() / (400 * 0.1 * 0.9) < 1.25  # binomial
    sizes = np.array([len(rows.tokens) for rows in draws])
    assert 0.8 < sizes.var() / (200 * 0.1 * 0.9) < 1.25
    assert all(len(set(rows.documents)) == len(rows.documents) for rows in draws)  # at most once a batch


def test_a_draw_depends_on_seed_and_position_alone(loader: PoissonLoader) -> None:
    other = PoissonLoader(loader.split, 64, 6, bos_id=BOS, pad_id=PAD)
    assert loader.take(40, 20).documents == loader.take(40, 20).documents
    assert loader.take(40, 20).documents != loader.take(60, 20).documents
    assert loader.take(40, 20).documents != other.take(40, 20).documents


def test_a_draw_of_no_document_teaches_nothing(tmp_path: Path) -> None:
    few = PoissonLoader(make(tmp_path, count=2), 64, 5, bos_id=BOS, pad_id=PAD)
    draws = [few.take(step, 1) for step in range(60)]
    empty = [rows for rows in draws if not rows.learn.any()]
    assert 5 < len(empty) < 30  # a quarter
    assert all(len(rows.tokens) == 1 for rows in empty)
