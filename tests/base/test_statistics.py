import math

import numpy as np
import pytest

from lilliput.base.errors import DataError, ModelError
from lilliput.base.statistics import (
    at_least,
    calibration_error,
    estimate,
    holm,
    interval,
    mean_of,
    p_of_mean,
    share,
    t_outside,
    t_quantile,
    welch,
    wilson,
)


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


ABOVE, BELOW, NOT = "above chance", "below chance", "indistinguishable from chance"


@pytest.mark.parametrize(
    ("right", "items", "chance", "says"),
    [
        (3, 3, 1 / 2, NOT),  # p = 0.125
        (3, 3, 1 / 4, NOT),  # p = 0.016, and three items prove nothing
        (5, 5, 1 / 2, NOT),  # p = 0.031
        (6, 6, 1 / 2, ABOVE),  # p = 0.016
        (0, 6, 1 / 2, BELOW),
        (5, 6, 1 / 2, NOT),
        (6, 10, 1 / 4, ABOVE),  # p = 0.020
        (5, 10, 1 / 4, NOT),  # p = 0.078
        (14, 20, 1 / 2, NOT),  # p = 0.058
        (15, 20, 1 / 2, ABOVE),  # p = 0.021
        (0, 10, 1 / 4, NOT),  # p = 0.056
        (60, 100, 1 / 2, NOT),  # p = 0.0284; a normal approximation calls it above chance
        (61, 100, 1 / 2, ABOVE),  # p = 0.018
        (39, 100, 1 / 2, BELOW),
        (1, 100, 0.0, NOT),  # no guess gives it, and another hundred items may hold none
        (5, 100, 0.0, ABOVE),
        (99, 100, 1.0, NOT),
    ],
)
def test_the_verdict_is_that_of_the_exact_binomial_distribution(right, items, chance, says):
    assert estimate([1.0] * right + [0.0] * (items - right), [chance] * items).verdict == says


def test_the_tail_is_the_sum_of_its_terms():
    for items, chance in ((7, 0.3), (20, 0.5), (50, 0.01)):
        for right in range(items + 1):
            terms = [math.comb(items, k) * chance**k * (1 - chance) ** (items - k) for k in range(right, items + 1)]
            assert at_least(right, items, chance) == pytest.approx(sum(terms), rel=1e-9)
    assert at_least(10, 100_000, 0.5) == pytest.approx(1)
    assert (at_least(0, 9, 0.0), at_least(1, 9, 0.0), at_least(9, 9, 1.0)) == (1, 0, 1)


def test_shared_points_count_against_a_difference():
    """14 right and two ties: 15 of 20 would be above chance, and no more than 14 are sure."""
    assert estimate([1.0] * 14 + [0.5] + [0.0] * 5, [0.5] * 20).verdict == NOT
    assert estimate([1.0] * 14 + [0.5] * 2 + [0.0] * 4, [0.5] * 20).verdict == ABOVE


def test_graded_scores_are_compared_item_by_item():
    """F1 beside what answers of other items score: each item is a little better, which the mean alone hardly shows."""
    others = [0.1 * place for place in range(10)]
    better = [chance + 0.05 for chance in others]
    assert estimate(better, others, graded=True).verdict == ABOVE
    assert estimate(others, better, graded=True).verdict == BELOW
    assert estimate(better[:3], others[:3], graded=True).verdict == NOT
    mixed = [chance + (0.05 if place % 2 else -0.05) for place, chance in enumerate(others)]
    assert estimate(mixed, others, graded=True).verdict == NOT


def test_a_guesser_is_distinguished_from_chance_one_time_in_twenty():
    rng = np.random.default_rng(0)
    found = [estimate(rng.integers(0, 2, 400).tolist(), [0.5] * 400).verdict for _ in range(400)]
    assert 0.01 < sum(verdict != NOT for verdict in found) / 400 < 0.07


def test_a_guesser_of_degrees_is_distinguished_from_chance_one_time_in_twenty():
    rng = np.random.default_rng(0)
    found = [estimate(rng.beta(1, 3, 60).tolist(), [0.25] * 60, graded=True).verdict for _ in range(200)]
    assert sum(verdict != NOT for verdict in found) / 200 < 0.1


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
        assert estimate([score] * 3, [chance] * 3).verdict == NOT


@pytest.mark.parametrize("t", [0.0, 0.3, 1.0, 4.0, 60.0])
def test_the_tail_has_its_closed_forms_for_one_and_two_degrees(t):
    assert t_outside(t, 1) == pytest.approx(1 - 2 / math.pi * math.atan(t), abs=1e-12)
    assert t_outside(t, 2) == pytest.approx(1 - t / math.sqrt(2 + t * t), abs=1e-12)


@pytest.mark.parametrize(
    ("degrees", "quantile"), [(1, 12.7062), (2, 4.30265), (4, 2.77645), (10, 2.22814), (100, 1.98397)]
)
def test_quantiles_are_those_of_the_tables(degrees, quantile):
    assert t_quantile(degrees) == pytest.approx(quantile, rel=1e-5)


def test_a_mean_of_two_has_a_wide_interval_and_one_value_none():
    found = mean_of([1.0, 1.2])
    assert (found.mean, found.count) == (pytest.approx(1.1), 2)
    assert found.margin == pytest.approx(12.7062 * 0.1, rel=1e-4)
    assert mean_of([0.7]).margin is None


def test_welch_is_the_textbooks():
    """The 10 and 10 extra hours of sleep of Student's own data (1908), unpaired: R's t.test gives these figures."""
    first = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
    second = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
    found = welch(first, second)
    assert found is not None
    assert found.difference == pytest.approx(-1.58)
    assert found.degrees == pytest.approx(17.776, abs=1e-3)
    assert found.p == pytest.approx(0.07939, abs=1e-5)
    assert found.difference - found.margin == pytest.approx(-3.3654832, abs=1e-6)


def test_two_alike_groups_differ_by_chance_and_far_ones_do_not():
    alike, apart = welch([1.0, 1.1], [1.05, 1.0]), welch([1.0, 1.001, 0.999], [2.0, 2.001, 1.999])
    assert alike is not None
    assert apart is not None
    assert alike.p > 0.3
    assert apart.p < 1e-6


@pytest.mark.parametrize(("first", "second"), [([1.0], [1.0, 2.0]), ([], []), ([1.0, 1.0], [2.0, 2.0])])
def test_what_cannot_be_tested_is_not(first, second):
    assert welch(first, second) is None


def test_wilsons_interval():
    assert wilson(5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-4)  # by hand: 1.96^2 = 3.8416
    low, high = wilson(10, 10)
    assert (low, high) == pytest.approx((10 / 13.8416, 1.0))  # n / (n + z^2)
    assert wilson(0, 10) == pytest.approx((0.0, 3.8416 / 13.8416))
    with pytest.raises(DataError, match="no item"):
        wilson(0, 0)


def test_calibration_errors():
    assert calibration_error([0.75] * 4, [True, True, True, False]) == 0
    assert calibration_error([1.0] * 4, [False] * 4) == 1
    assert calibration_error([0.55, 0.95], [True, True]) == pytest.approx((0.45 + 0.05) / 2)
    assert calibration_error([0.51, 0.59], [True, False]) == pytest.approx(0.05)  # one bin: 0.55 and half right
    with pytest.raises(DataError, match="no answer"):
        calibration_error([], [])


def test_the_p_of_a_mean_is_students() -> None:
    assert p_of_mean([1.0, 2.0, 3.0]) == pytest.approx(0.0741799, abs=1e-6)
    assert p_of_mean([-1.0, -2.0, -3.0]) == pytest.approx(0.0741799, abs=1e-6)
    assert p_of_mean([-1.0, 1.0]) == pytest.approx(1)
    assert (p_of_mean([2.0]), p_of_mean([0.0, 0.0]), p_of_mean([2.0, 2.0])) == (1, 1, 0)


def test_holm_multiplies_the_smallest_p_most_and_never_falls() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1, 1])
    assert holm([]) == []
