import math

import pytest

from lilliput.base.seed_statistics import estimate, t_outside, t_quantile, welch


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
    found = estimate([1.0, 1.2])
    assert (found.mean, found.count) == (pytest.approx(1.1), 2)
    assert found.margin == pytest.approx(12.7062 * 0.1, rel=1e-4)
    assert estimate([0.7]).margin is None


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
