"""Best-fit packing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lilliput.data.packing import best_fit


def naive(lengths, capacity):
    """Best-fit decreasing by looking at every row: the total number of rows and each row's fill."""
    rows: list[int] = []
    for length in sorted(lengths, reverse=True):
        fitting = [(capacity - fill, place) for place, fill in enumerate(rows) if fill + length <= capacity]
        if fitting:
            rows[min(fitting)[1]] += length
        else:
            rows.append(length)
    return sorted(rows)


@given(st.lists(st.integers(1, 40), max_size=60), st.integers(2, 17))
def test_every_target_comes_once_and_no_row_is_too_full(lengths, capacity):
    packed = best_fit(np.array(lengths), capacity)
    seen = {number: np.zeros(length, dtype=int) for number, length in enumerate(lengths)}
    for row in range(len(packed.first) - 1):
        end = 0
        for piece in range(packed.first[row], packed.first[row + 1]):
            assert packed.column[piece] == end
            end += packed.length[piece]
            start = packed.start[piece]
            # The first token of a piece is context only.
            seen[int(packed.document[piece])][start + 1 : start + packed.length[piece]] += 1
        assert 0 < end <= capacity
    for counts in seen.values():
        assert counts[0] == 0
        assert (counts[1:] == 1).all()


@given(st.lists(st.integers(1, 12), min_size=1, max_size=40))
def test_rows_are_filled_as_best_fit_decreasing_fills_them(lengths):
    packed = best_fit(np.array(lengths), 12)
    fills = [int(packed.length[a:b].sum()) for a, b in zip(packed.first, packed.first[1:], strict=False)]
    assert sorted(fills) == naive(lengths, 12)


def test_a_long_document_goes_on_after_a_repeated_token():
    packed = best_fit(np.array([10]), 4)
    order = np.argsort(packed.start)
    assert packed.start[order].tolist() == [0, 3, 6]
    assert packed.length[order].tolist() == [4, 4, 4]
    assert len(packed.first) - 1 == 3


@pytest.mark.parametrize("capacity", [65, 257])
def test_stories_leave_little_padding(capacity):
    lengths = np.random.default_rng(0).integers(20, 300, 20_000)
    packed = best_fit(lengths, capacity)
    assert packed.length.sum() / ((len(packed.first) - 1) * capacity) > 0.97
