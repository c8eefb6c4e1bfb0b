"""Fits of loss against size and text: a parabola for each budget, the parametric law, and bootstrap intervals.

Sizes and tokens are N and D of C = 6 N D. Losses may have any unit, the same for all runs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from lilliput.base.errors import ConfigError, MissingExtra
from lilliput.base.seeds import generator
from lilliput.planning.chinchilla import Law

HUBER = 1e-3
"""Residuals of the log loss up to this value count squared, larger residuals linearly (Hoffmann et al. 2022, appendix
D.2)."""
GRID = tuple(
    product(range(0, 26, 5), range(0, 26, 5), (-3.0, -2.0, -1.0, -0.5, 0.0, 0.5, 1.0), np.arange(0, 2.1, 0.5),
            np.arange(0, 2.1, 0.5))
)  # fmt: skip
"""First guesses of (log A, log B, log E, alpha, beta): the paper's guesses, and two smaller E, because a loss in bits
per byte can be smaller than the paper's nats a token."""
BOUNDS = ((-10.0, 40.0), (-10.0, 40.0), (-10.0, 5.0), (0.05, 4.0), (0.05, 4.0))
"""Ranges of log A, log B, log E, alpha and beta in the fit. A constant that the runs do not determine ends at a
bound."""
POLISHED = 12
DRAWS = 200
LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Parabola:
    """loss = c0 + c1 x + c2 x^2 with x = ln(parameters / centre)."""

    centre: float
    coefficients: tuple[float, float, float]

    def loss(self, parameters: float) -> float:
        """Return the loss at a size."""
        x = math.log(parameters / self.centre)
        c0, c1, c2 = self.coefficients
        return c0 + c1 * x + c2 * x * x

    @property
    def best(self) -> float | None:
        """Return the size with the least loss; None where the parabola has no minimum."""
        _, c1, c2 = self.coefficients
        return self.centre * math.exp(-c1 / (2 * c2)) if c2 > 0 and abs(c1 / c2) < 100 else None


def fit_parabola(parameters: Sequence[float], losses: Sequence[float]) -> Parabola:
    """Fit a parabola by least squares (approach 2 of Hoffmann et al. 2022). Raises ConfigError for fewer than three
    different sizes."""
    if len(set(parameters)) < 3:
        raise ConfigError(f"a parabola needs three sizes, and there are {len(set(parameters))}")
    x = np.log(np.asarray(parameters, dtype=float))
    centre = float(x.mean())
    basis = np.stack([np.ones_like(x), x - centre, (x - centre) ** 2], axis=1)
    c0, c1, c2 = np.linalg.lstsq(basis, np.asarray(losses, dtype=float), rcond=None)[0].tolist()
    return Parabola(math.exp(centre), (c0, c1, c2))


def fit_law(parameters: Sequence[float], tokens: Sequence[float], losses: Sequence[float]) -> Law:
    """Fit L(N, D) = E + A / N^alpha + B / D^beta, by the Huber loss of log L and L-BFGS from the best guess of GRID
    (Hoffmann et al. 2022, appendix D.2). Raises ConfigError for fewer than six runs, because the law has five
    constants. Needs scipy."""
    if len(losses) < 6:
        raise ConfigError(f"the law has five constants and needs six runs at least, and there are {len(losses)}")
    minimise = scipy_minimise()
    logs = np.log(np.asarray([parameters, tokens, losses], dtype=float))
    grid = np.asarray(GRID, dtype=float)
    order = np.argsort(_objective(grid.T[:, :, None], logs)[0].sum(axis=-1))[:POLISHED]
    found = [_polish(minimise, grid[i], logs) for i in order]
    return _law(min(found, key=lambda pair: pair[0])[1])


def refit_law(start: Law, parameters: Sequence[float], tokens: Sequence[float], losses: Sequence[float]) -> Law:
    """Fit the law from the constants of `start` instead of GRID. The draws of a bootstrap lie close to `start`."""
    logs = np.log(np.asarray([parameters, tokens, losses], dtype=float))
    theta = np.array([math.log(start.A), math.log(start.B), math.log(start.E), start.alpha, start.beta])
    return _law(_polish(scipy_minimise(), theta, logs)[1])


def _objective(theta: Any, logs: Any) -> tuple[Any, Any, Any]:
    """Return the Huber loss of each run, its derivative by the residual, and the law's three terms as shares of the
    predicted loss."""
    a, b, e, alpha, beta = theta
    n, d, loss = logs
    terms = np.stack(np.broadcast_arrays(a - alpha * n, b - beta * d, e + 0 * n))
    top = terms.max(axis=0)
    exponents = np.exp(terms - top)
    total = exponents.sum(axis=0)
    residual = top + np.log(total) - loss
    slope = np.clip(residual, -HUBER, HUBER)
    return slope * (residual - slope / 2), slope, exponents / total


def _polish(minimise: Any, start: Any, logs: Any) -> tuple[float, Any]:
    """Return the objective and the constants at the minimum that L-BFGS reaches from `start`."""
    n, d, _ = logs

    def value(theta: Any) -> tuple[float, Any]:
        # The Huber loss is of the order of HUBER^2, and the optimiser's tolerances are made for numbers near 1.
        losses, slope, (to_a, to_b, to_e) = _objective(theta, logs)
        gradient = [slope * to_a, slope * to_b, slope * to_e, -slope * to_a * n, -slope * to_b * d]
        return losses.sum() / HUBER**2, np.array([part.sum() for part in gradient]) / HUBER**2

    options = {"maxiter": 2000, "ftol": 1e-12, "gtol": 1e-8}
    begin = np.clip(start, *np.array(BOUNDS).T)
    done = minimise(value, begin, jac=True, method="L-BFGS-B", bounds=BOUNDS, options=options)
    return float(done.fun), done.x


def _law(theta: Any) -> Law:
    a, b, e, alpha, beta = (float(value) for value in theta)
    return Law(E=math.exp(e), A=math.exp(a), B=math.exp(b), alpha=alpha, beta=beta)


def undetermined(law: Law) -> list[str]:
    """Return the names of the constants that ended at one of BOUNDS."""
    found = {"A": math.log(law.A), "B": math.log(law.B), "E": math.log(law.E), "alpha": law.alpha, "beta": law.beta}
    ends = dict(zip(found, BOUNDS, strict=True))
    return [name for name, value in found.items() if min(abs(value - end) for end in ends[name]) < 1e-6]


def scipy_minimise() -> Any:
    try:
        from scipy.optimize import minimize
    except ModuleNotFoundError as error:
        raise MissingExtra("scipy", "plan", "fitting a scaling law") from error
    return minimize


def residual_draws(fitted: Sequence[float], observed: Sequence[float], constants: int, seed: int) -> list[np.ndarray]:
    """Draw DRAWS sets of losses that other runs might have reached: the fit plus residuals drawn with replacement.

    The residuals are widened for the number of `constants` that were fitted (Davison & Hinkley 1997, section 6.2), and
    are differences of log losses. Raises ConfigError where there are no more runs than constants."""
    curve, seen = np.log(np.asarray(fitted, dtype=float)), np.log(np.asarray(observed, dtype=float))
    left = len(seen) - constants
    if left < 1:
        raise ConfigError(f"{len(seen)} runs leave nothing to judge a fit of {constants} constants by")
    residuals = (seen - curve) * math.sqrt(len(seen) / left)
    rng = generator(seed, "bootstrap")
    return [np.exp(curve + rng.choice(residuals, len(seen))) for _ in range(DRAWS)]


def interval(values: Sequence[float | None]) -> tuple[float, float] | None:
    """Return the middle LEVEL of the draws; None where over a tenth of the draws gave no number."""
    known = [value for value in values if value is not None and math.isfinite(value)]
    if len(known) < 0.9 * len(values) or not known:
        return None
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]).tolist()
    return low, high


def intervals(draws: Sequence[Law], measure: Callable[[Law], float]) -> tuple[float, float] | None:
    """Return the interval of a number that `measure` computes from the law."""
    return interval([measure(law) for law in draws])
