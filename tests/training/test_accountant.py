"""The epsilon of DP-SGD beside figures of Opacus, and the noise of a wanted epsilon."""

import math

import pytest

from lilliput.base.errors import ConfigError
from lilliput.training.accountant import epsilon, noise_for

OPACUS = [
    (256 / 60000, 1.1, 14062, 1e-5, 2.5969811786),
    (512 / 15000, 1.0, 600, 1e-5, 6.0033650424),
    (0.01, 1.1, 1000, 1e-5, 1.7252908180),
    (0.05, 4.0, 2000, 1e-5, 2.5286478051),
    (1.0, 5.0, 100, 1e-6, 11.8553899932),
]
"""Rate, noise, steps, delta; and the epsilon of the RDP accountant of Opacus 1.6.0 at the same orders."""


@pytest.mark.parametrize(("rate", "noise", "steps", "delta", "theirs"), OPACUS)
def test_epsilon_is_that_of_opacus(rate: float, noise: float, steps: int, delta: float, theirs: float) -> None:
    assert epsilon(rate, noise, steps, delta) == pytest.approx(theirs, rel=1e-9)


def test_epsilon_grows_with_steps_and_rate_and_falls_with_noise_and_delta() -> None:
    base = epsilon(0.02, 1.0, 200, 1e-5)
    assert epsilon(0.02, 1.0, 0, 1e-5) == 0.0
    assert epsilon(0.02, 1.0, 400, 1e-5) > base
    assert epsilon(0.04, 1.0, 200, 1e-5) > base
    assert epsilon(0.02, 1.3, 200, 1e-5) < base
    assert epsilon(0.02, 1.0, 200, 1e-4) < base


def test_one_step_on_all_examples_is_a_little_above_the_exact_gaussian_mechanism() -> None:
    """Balle and Wang 2018, theorem 8: delta = P(a - e/2a...) of the exact mechanism at the epsilon found."""
    noise, delta = 2.0, 1e-5
    found = epsilon(1.0, noise, 1, delta)

    def below(x: float) -> float:
        return 0.5 * math.erfc(-x / math.sqrt(2))

    def exact(e: float) -> float:
        return below(0.5 / noise - e * noise) - math.exp(e) * below(-0.5 / noise - e * noise)

    assert exact(found) < delta < exact(0.9 * found)


@pytest.mark.parametrize("target", [0.5, 1.0, 8.0, 30.0])
def test_the_noise_of_an_epsilon_spends_it_and_no_more(target: float) -> None:
    noise = noise_for(target, 0.03, 500, 1e-5)
    assert 0.98 * target < epsilon(0.03, noise, 500, 1e-5) <= target


def test_an_epsilon_out_of_reach_is_refused() -> None:
    with pytest.raises(ConfigError, match="no noise gives an epsilon of 1e-06"):
        noise_for(1e-6, 0.5, 1000, 1e-5)
