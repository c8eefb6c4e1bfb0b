import math

import numpy as np
import pytest

from lilliput.base.errors import DataError, ModelError
from lilliput.evaluate.statistics import Estimate, estimate, interval, share


def test_ties_share_the_point():
    assert share([1.0, 1.0], [0]) == 0.5
    assert share([1.0, 1.0, 1.0, 0.0], [3]) == 0
    assert share([2.0, 2.0, 2.0], [1]) == pytest.approx(1 / 3)
    assert share([0.0, 3.0], [1]) == 1
    assert math.isnan(share([math.nan, 1.0], [0]))


def test_the_standard_error_is_the_samples():
    found = estimate([1, 0, 1, 1], [0.5] * 4)
    assert found.score == 0.75
    assert found.stderr == pytest.approx(np.std([1, 0, 1, 1], ddof=1) / 2)
    assert (found.chance, found.items) == (0.5, 4)
    assert math.isnan(estimate([1.0], [0.5]).stderr)


def test_a_score_that_is_not_a_number_fails():
    with pytest.raises(ModelError, match="1 of 2 scores are not numbers"):
        estimate([math.nan, 1.0], [0.5, 0.5])
    with pytest.raises(DataError, match="no item"):
        estimate([], [])


@pytest.mark.parametrize(
    ("score", "stderr", "items", "says"),
    [
        (0.55, 0.05, 100, "indistinguishable from chance"),
        (0.65, 0.05, 100, "above chance"),
        (0.35, 0.05, 100, "below chance"),
        # Three of three right: the sample's own error is 0, a guesser's is not.
        (1.0, 0.0, 3, "indistinguishable from chance"),
        (1.0, 0.0, 19, "indistinguishable from chance"),
        (1.0, 0.0, 20, "above chance"),
        (1.0, math.nan, 1, "indistinguishable from chance"),
    ],
)
def test_the_verdict(score, stderr, items, says):
    assert Estimate(score, stderr, 0.5, items).verdict == says


def test_a_guesser_is_told_from_chance_one_time_in_twenty():
    rng = np.random.default_rng(0)
    found = [estimate(rng.integers(0, 2, 400).tolist(), [0.5] * 400).verdict for _ in range(400)]
    assert 0.02 < sum(verdict != "indistinguishable from chance" for verdict in found) / 400 < 0.09


def test_the_bootstrap_interval_covers_the_mean_and_shrinks():
    rng = np.random.default_rng(1)
    wide, narrow = interval(rng.normal(3, 1, 20).tolist()), interval(rng.normal(3, 1, 2000).tolist())
    assert wide[0] < 3 < wide[1]
    assert narrow[1] - narrow[0] == pytest.approx(2 * 1.96 / math.sqrt(2000), rel=0.15)
    assert interval([1.0, 2.0, 3.0]) == interval([1.0, 2.0, 3.0])
    with pytest.raises(DataError):
        interval([])


@pytest.mark.parametrize("chance", [0.0, 0.001, 0.25, 1.0])
def test_three_items_prove_nothing_whatever_chance_is(chance):
    for score in (0.0, 1.0):
        assert estimate([score] * 3, [chance] * 3).verdict == "indistinguishable from chance"
