"""Compute-optimal training after Hoffmann et al. 2022 ("Chinchilla", arXiv:2203.15556): the law, its optimum, and the
other ways to choose a size.

N is the parameters, D the training tokens, and C = 6 N D the training FLOPs. L is the loss in nats a token on
Chinchilla's own data and tokenizer. On another corpus the law's losses are wrong, and its optimum is only a starting
point.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from lilliput.base.console import number
from lilliput.base.errors import ConfigError

FLOPS_PER_PARAMETER = 6.0
"""Training FLOPs for each parameter and token: two forward, four backward (Kaplan et al. 2020, arXiv:2001.08361)."""
TOKENS_PER_PARAMETER = 20.0
"""The rule of thumb: the ratio of Chinchilla itself (70B parameters, 1.4T tokens)."""
CHINCHILLA_FLOPS = 5.76e23
"""The budget of Gopher and Chinchilla."""


@dataclass(frozen=True, slots=True)
class Optimum:
    """The best model for `flops`: N `parameters` on D `tokens`. `loss` is None for a method that predicts no loss."""

    flops: float
    parameters: float
    tokens: float
    loss: float | None = None

    @property
    def tokens_per_parameter(self) -> float:
        return self.tokens / self.parameters

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "tokens_per_parameter": self.tokens_per_parameter}


@dataclass(frozen=True, slots=True)
class Law:
    """L(N, D) = E + A / N^alpha + B / D^beta (Hoffmann et al. 2022, equation 2)."""

    E: float
    A: float
    B: float
    alpha: float
    beta: float

    def loss(self, parameters: float, tokens: float) -> float:
        """Return L(N, D) in nats a token. Raises ConfigError unless both numbers are above 0."""
        _positive(parameters=parameters, tokens=tokens)
        return self.E + self.A / parameters**self.alpha + self.B / tokens**self.beta

    def optimum(self, flops: float) -> Optimum:
        """Return the model with the least loss at C = 6 N D, in closed form (equation 4): N = G (C/6)^a and
        D = (C/6)^b / G with a = beta / (alpha + beta), b = 1 - a and G = (alpha A / (beta B))^(1 / (alpha + beta))."""
        _positive(flops=flops)
        total = self.alpha + self.beta
        scale = (self.alpha * self.A / (self.beta * self.B)) ** (1 / total)
        products = flops / FLOPS_PER_PARAMETER
        parameters = scale * products ** (self.beta / total)
        tokens = products / parameters
        return Optimum(flops, parameters, tokens, self.loss(parameters, tokens))

    def optimum_of(self, parameters: float) -> Optimum:
        """Return the optimum whose best size is N `parameters`: `optimum` solved for C = 6 (N / G)^(1 / a), in FLOPs.
        Raises ConfigError unless `parameters` is above 0 and finite."""
        _positive(parameters=parameters)
        total = self.alpha + self.beta
        scale = (self.alpha * self.A / (self.beta * self.B)) ** (1 / total)
        tokens = (parameters / scale) ** (total / self.beta) / parameters
        return Optimum(FLOPS_PER_PARAMETER * parameters * tokens, parameters, tokens, self.loss(parameters, tokens))

    def loss_at(self, parameters: float, flops: float) -> float:
        """Return the loss of N `parameters` trained on all the tokens that `flops` pay for."""
        return self.loss(parameters, flops / FLOPS_PER_PARAMETER / parameters)

    def as_dict(self) -> dict[str, float]:
        return asdict(self)


CHINCHILLA = Law(E=1.69, A=406.4, B=410.7, alpha=0.34, beta=0.28)
"""The constants as the paper prints them (appendix D.3). The paper rounds them, and rounding moves the optimum."""
REPLICATION = Law(E=1.82, A=482.01, B=2085.43, alpha=0.3478, beta=0.3658)
"""The same law, fitted again to the paper's figures by Besiroglu et al. 2024 (arXiv:2404.10102). They find that the
paper's own fit stopped too early, and that its constants are rounded too far."""

# (parameters, tokens) that the paper's first two approaches call optimal: its tables 3 and A3.
APPROACH_1 = (
    (400e6, 8.0e9), (1e9, 20.2e9), (10e9, 205.1e9), (67e9, 1.5e12), (175e9, 3.7e12), (280e9, 5.9e12), (520e9, 11.0e12),
    (1e12, 21.2e12), (10e12, 216.2e12),
)  # fmt: skip
APPROACH_2 = (
    (400e6, 7.7e9), (1e9, 20.0e9), (10e9, 219.5e9), (67e9, 1.7e12), (175e9, 4.3e12), (280e9, 7.1e12), (520e9, 13.4e12),
    (1e12, 26.5e12), (10e12, 292.0e12),
)  # fmt: skip


def rule_of_20(flops: float) -> Optimum:
    """Twenty tokens a parameter: N = sqrt(C / 120)."""
    _positive(flops=flops)
    parameters = math.sqrt(flops / (FLOPS_PER_PARAMETER * TOKENS_PER_PARAMETER))
    return Optimum(flops, parameters, TOKENS_PER_PARAMETER * parameters)


def along(table: tuple[tuple[float, float], ...], flops: float) -> Optimum:
    """Return the optimum on the straight line, in logarithms, through a published table of (N, D). Outside the table
    the line is extended."""
    _positive(flops=flops)
    work = [math.log(FLOPS_PER_PARAMETER * n * d) for n, d in table]
    slope, intercept = line(work, [math.log(n) for n, _ in table])
    parameters = math.exp(intercept + slope * math.log(flops))
    return Optimum(flops, parameters, flops / FLOPS_PER_PARAMETER / parameters)


def line(xs: list[float], ys: list[float]) -> tuple[float, float]:
    """Return slope and intercept of the least-squares line. Raises ConfigError for fewer than two different xs."""
    mean_x, mean_y = sum(xs) / len(xs), sum(ys) / len(ys)
    spread = sum((x - mean_x) ** 2 for x in xs)
    if not spread:
        raise ConfigError(f"a line needs two different points, and all {len(xs)} lie at {mean_x:g}")
    slope = sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True)) / spread
    return slope, mean_y - slope * mean_x


def methods(flops: float) -> dict[str, Optimum]:
    """Return each method's optimum for `flops`, by the method's name."""
    return {
        "approach 1, envelope of curves": along(APPROACH_1, flops),
        "approach 2, IsoFLOP minima": along(APPROACH_2, flops),
        "approach 3, rounded constants": CHINCHILLA.optimum(flops),
        "approach 3, fitted again": REPLICATION.optimum(flops),
        "20 tokens a parameter": rule_of_20(flops),
    }


def methods_of(parameters: float) -> dict[str, Optimum]:
    """Return each method's optimum for a size instead of a budget: the tokens for which N `parameters` are the best
    size."""
    _positive(parameters=parameters)

    def on_line(table: tuple[tuple[float, float], ...]) -> Optimum:
        low, high = (math.log(along(table, flops).parameters) for flops in (1.0, math.e))
        flops = math.exp((math.log(parameters) - low) / (high - low))
        return Optimum(flops, parameters, flops / FLOPS_PER_PARAMETER / parameters)

    tokens = TOKENS_PER_PARAMETER * parameters
    return {
        "approach 1, envelope of curves": on_line(APPROACH_1),
        "approach 2, IsoFLOP minima": on_line(APPROACH_2),
        "approach 3, rounded constants": CHINCHILLA.optimum_of(parameters),
        "approach 3, fitted again": REPLICATION.optimum_of(parameters),
        "20 tokens a parameter": Optimum(FLOPS_PER_PARAMETER * parameters * tokens, parameters, tokens),
    }


def disagreement(found: dict[str, Optimum]) -> str:
    """Return a sentence that names the methods' smallest and largest size, and the ratio of the two."""
    least, most = (pick(found.items(), key=lambda pair: pair[1].parameters) for pick in (min, max))
    ratio = most[1].parameters / least[1].parameters
    return (
        f"{ratio:.2g} times between the smallest and the largest: {number(least[1].parameters)} parameters "
        f"({least[0]}) and {number(most[1].parameters)} ({most[0]})"
    )


def _positive(**numbers: float) -> None:
    for name, value in numbers.items():
        if not value > 0 or not math.isfinite(value):
            raise ConfigError(f"{name} has to be above 0 and finite, and is {value:g}")


def chosen_model(flops: float | None, parameters: float | None, tokens: float | None) -> Optimum:
    """Return the model that the given numbers describe.

    - Two numbers: the third follows from C = 6 N D.
    - A budget alone: the law's best model. Without any number the budget is 10^17.5 FLOPs, the 51M model of a $50 run.
    - A size alone: the tokens and the budget for which the law calls this size the best.

    Raises ConfigError for three numbers, or for tokens without a size."""
    if flops is not None and parameters is not None and tokens is not None:
        raise ConfigError("flops, parameters and tokens are tied by C = 6 N D; give two of them")
    if tokens is not None and parameters is None:
        raise ConfigError("tokens alone leave the size open", "give parameters as well")
    if parameters is None:
        return CHINCHILLA.optimum(10**17.5 if flops is None else flops)
    _positive(parameters=parameters)
    if tokens is None and flops is None:
        return CHINCHILLA.optimum_of(parameters)
    if tokens is None and flops is not None:
        tokens = flops / FLOPS_PER_PARAMETER / parameters
    assert tokens is not None
    return Optimum(FLOPS_PER_PARAMETER * parameters * tokens, parameters, tokens, CHINCHILLA.loss(parameters, tokens))
