"""The accountant of DP-SGD: the epsilon of steps on Poisson samples of the examples with Gaussian noise.

Rényi differential privacy of the subsampled Gaussian mechanism at whole orders (Mironov, Talwar and Zhang 2019,
arXiv:1908.10530, section 3.3), summed over steps, and converted to (epsilon, delta) by Canonne, Kamath and Steinke 2020
(arXiv:2004.00010, proposition 12). Neighbouring tables differ by one example that is added or removed. The result is an
upper bound: an accountant by numerical convolution finds less.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

from lilliput.base.errors import ConfigError

ORDERS = (*range(2, 65), *range(68, 129, 4), 160, 192, 256, 384, 512, 768, 1024)
"""The orders among which the least epsilon is chosen."""
LEAST_NOISE, MOST_NOISE = 0.2, 1000.0
"""The bounds between which `noise_for` looks for the noise."""


def epsilon(rate: float, noise: float, steps: int, delta: float) -> float:
    """Return the epsilon at `delta` of so many steps: each example takes part with the probability `rate`, and the sum
    of the clipped gradients gets Gaussian noise of `noise` times the clipping norm."""
    if steps == 0:
        return 0.0
    return max(0.0, min(map(_converted, ORDERS, [steps * each for each in renyi(rate, noise)], [delta] * len(ORDERS))))


def noise_for(target: float, rate: float, steps: int, delta: float) -> float:
    """Return the least noise, to 0.1%, at which `epsilon` stays within `target`. Raises ConfigError for a target that
    no noise reaches."""
    low, high = LEAST_NOISE, MOST_NOISE
    if epsilon(rate, high, steps, delta) > target:
        raise ConfigError(
            f"no noise gives an epsilon of {target:g} at delta={delta:g} after {steps:,} steps",
            "give a larger epsilon, fewer epochs or a larger delta",
        )
    while high > 1.001 * low:
        middle = math.sqrt(low * high)
        low, high = (middle, high) if epsilon(rate, middle, steps, delta) > target else (low, middle)
    return high


@lru_cache(maxsize=64)
def renyi(rate: float, noise: float, orders: Sequence[int] = ORDERS) -> tuple[float, ...]:
    """Return the Rényi divergence of one step at each order."""
    return tuple(_divergence(rate, noise, order) for order in orders)


def _divergence(rate: float, noise: float, order: int) -> float:
    if rate >= 1:
        return order / (2 * noise**2)
    # log of sum_k C(order, k) (1 - rate)^(order - k) rate^k exp(k (k - 1) / (2 noise²)), in logarithms: the last terms
    # are beyond the largest float.
    terms = [
        math.lgamma(order + 1)
        - math.lgamma(k + 1)
        - math.lgamma(order - k + 1)
        + (order - k) * math.log1p(-rate)
        + k * math.log(rate)
        + k * (k - 1) / (2 * noise**2)
        for k in range(order + 1)
    ]
    largest = max(terms)
    return (largest + math.log(sum(math.exp(term - largest) for term in terms))) / (order - 1)


def _converted(order: int, divergence: float, delta: float) -> float:
    return divergence + math.log1p(-1 / order) - (math.log(delta) + math.log(order)) / (order - 1)
