"""Mixing by weight."""

from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lilliput.data.mix import mix


def streams(*sizes):
    return [iter(range(size)) for size in sizes]


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4))
def test_at_every_moment_the_counts_follow_the_weights(weights):
    counts: Counter[int] = Counter()
    total = sum(weights)
    for taken, (number, _) in enumerate(mix(streams(*[50] * len(weights)), weights, "first"), start=1):
        counts[number] += 1
        for stream, weight in enumerate(weights):
            assert abs(counts[stream] - Fraction(taken * weight, total)) < len(weights)


@given(st.lists(st.tuples(st.integers(0, 20), st.floats(0.1, 10)), max_size=4))
def test_every_item_comes_once_and_in_the_order_of_its_stream(plan):
    sizes, weights = [size for size, _ in plan], [weight for _, weight in plan]
    taken = list(mix(streams(*sizes), weights, "all"))
    for number, size in enumerate(sizes):
        assert [item for stream, item in taken if stream == number] == list(range(size))
    assert taken == list(mix(streams(*sizes), weights, "all"))


def test_the_first_stream_to_end_can_end_the_mixture():
    counts = Counter(number for number, _ in mix(streams(10, 1000), [1, 3], "first"))
    assert counts[0] == 10
    assert 30 <= counts[1] < 33  # until it is the ended stream's turn again


@pytest.mark.parametrize(("weights", "order"), [([1, 1], [0, 1, 0, 1]), ([2, 1], [0, 0, 1, 0]), ([1, 3], [1, 1, 0, 1])])
def test_the_order_is_spread_out_and_ties_go_to_the_first(weights, order):
    taken = [number for number, _ in mix(streams(9, 9), weights, "all")]
    assert taken[:4] == order
