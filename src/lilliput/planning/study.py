"""The analysis of an IsoFLOP study: the best size at each budget, and a test of its prediction for a larger budget."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from lilliput.base.errors import ConfigError
from lilliput.planning.chinchilla import FLOPS_PER_PARAMETER, Law, line
from lilliput.planning.fit import (
    Parabola,
    fit_law,
    fit_parabola,
    interval,
    intervals,
    refit_law,
    residual_draws,
    undetermined,
)
from lilliput.planning.forecast import MANY_EPOCHS

SEED = 1
Interval = tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Trial:
    """A finished run. `size` is training FLOPs a token / 6 (see shapes.py). `loss` is validation bits per byte.
    `budget` is the FLOPs that were planned; size x tokens x 6 are the FLOPs that were spent."""

    run: str
    budget: float
    size: float
    parameters: int
    tokens: int
    epochs: float
    seed: int
    loss: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Curve:
    """The runs of one budget: their parabola, and the best size, tokens and loss with intervals.

    `enclosed` is true where the best size lies between sizes that were run; otherwise the best size is a guess. `best`
    is None where the curve has no minimum."""

    budget: float
    parabola: Parabola
    trials: int
    best: float | None
    tokens: float | None
    loss: float | None
    interval: Interval
    enclosed: bool
    draws: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Findings:
    """The results of the study.

    Approach 2 is the `exponent` of N in C, with the power law best = exp(intercept) C^exponent. Approach 3 is the
    `law`. Both have a 95% interval by residual bootstrap. `held_out` tests both on a budget that neither was fitted
    on."""

    curves: tuple[Curve, ...]
    exponent: float
    intercept: float
    exponent_interval: Interval
    law: Law
    law_intervals: dict[str, Interval]
    law_exponent: float
    held_out: HeldOut | None
    doubts: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return JSON values, without the bootstrap's draws."""
        values = asdict(self)
        for curve in (*values["curves"], *([values["held_out"]["curve"]] if self.held_out else [])):
            del curve["draws"]
        return values


@dataclass(frozen=True, slots=True)
class HeldOut:
    """The test on the held-out budget.

    The sizes that approach 2 and the law predict are compared with the best size of the held-out curve. The law's loss
    for each held-out run is compared with the loss that the run reached; `worst` is the largest relative error."""

    curve: Curve
    size_by_line: float
    size_by_line_interval: Interval
    size_by_law: float
    size_by_law_interval: Interval
    loss_by_law: float
    loss_by_law_interval: Interval
    mean_error: float
    worst: float
    runs: tuple[dict[str, Any], ...]


def analyse(trials: Sequence[Trial], held_out: float | None) -> Findings:
    """Fit both approaches on the runs of all budgets but `held_out`, then test both on `held_out`. Raises ConfigError
    where fewer than two budgets have a minimum, or where there are too few runs."""
    inside = [trial for trial in trials if trial.budget != held_out]
    curves = tuple(fit_curve([t for t in inside if t.budget == budget]) for budget in _budgets(inside))
    minima = [curve for curve in curves if curve.best is not None]
    enclosed = [curve for curve in minima if curve.enclosed]
    usable = enclosed if len(enclosed) >= 2 else minima
    if len(usable) < 2:
        raise ConfigError(
            f"{len(usable)} of {len(curves)} budgets have a best size inside, and a line through them needs two",
            "add sizes (--per-budget), seeds (--seeds) or budgets",
        )
    exponent, intercept = _size_line(usable, [_known(curve.best) for curve in usable])
    lines = _line_draws(usable)
    law, draws = _law_draws(inside)
    tested = None
    if held_out is not None and any(trial.budget == held_out for trial in trials):
        outside = [trial for trial in trials if trial.budget == held_out]
        tested = _test(outside, held_out, (exponent, intercept), lines, law, draws)
    return Findings(
        curves=curves,
        exponent=exponent,
        intercept=intercept,
        exponent_interval=interval([slope for slope, _ in lines]),
        law=law,
        law_intervals={name: intervals(draws, lambda each, n=name: getattr(each, n)) for name in law.as_dict()},
        law_exponent=law.beta / (law.alpha + law.beta),
        held_out=tested,
        doubts=tuple(_doubts(trials, [*curves, *([tested.curve] if tested else [])], law)),
    )


def fit_curve(trials: Sequence[Trial]) -> Curve:
    """Fit the parabola of one budget's runs, with the interval of its best size."""
    sizes, losses = [trial.size for trial in trials], [trial.loss for trial in trials]
    parabola = fit_parabola(sizes, losses)
    best, budget = parabola.best, trials[0].budget
    draws: list[float | None] = []
    if len(trials) > 3:
        fitted = [parabola.loss(size) for size in sizes]
        draws = [fit_parabola(sizes, drawn.tolist()).best for drawn in residual_draws(fitted, losses, 3, SEED)]
    return Curve(
        budget=budget,
        parabola=parabola,
        trials=len(trials),
        best=best,
        tokens=None if best is None else budget / FLOPS_PER_PARAMETER / best,
        loss=None if best is None else parabola.loss(best),
        interval=interval(draws) if draws else None,
        enclosed=best is not None and min(sizes) < best < max(sizes),
        draws=tuple(draws),
    )


def _budgets(trials: Sequence[Trial]) -> list[float]:
    return sorted({trial.budget for trial in trials})


def _known(value: float | None) -> float:
    assert value is not None
    return value


def _size_line(curves: Sequence[Curve], sizes: Sequence[float]) -> tuple[float, float]:
    """Return exponent and intercept of the line of ln(best size) against ln(budget)."""
    return line([math.log(curve.budget) for curve in curves], [math.log(size) for size in sizes])


def _line_draws(curves: Sequence[Curve]) -> list[tuple[float, float]]:
    """Return the line through the best sizes of each draw; an empty list where a curve has too few runs for draws."""
    if not all(curve.draws for curve in curves):
        return []
    rows = zip(*(curve.draws for curve in curves), strict=True)
    return [_size_line(curves, [_known(size) for size in row]) for row in rows if all(size is not None for size in row)]


def _law_draws(trials: Sequence[Trial]) -> tuple[Law, list[Law]]:
    sizes, tokens = [trial.size for trial in trials], [float(trial.tokens) for trial in trials]
    losses = [trial.loss for trial in trials]
    law = fit_law(sizes, tokens, losses)
    fitted = [law.loss(n, d) for n, d in zip(sizes, tokens, strict=True)]
    drawn = residual_draws(fitted, losses, 5, SEED)
    return law, [refit_law(law, sizes, tokens, each.tolist()) for each in drawn]


def _test(
    outside: Sequence[Trial],
    budget: float,
    power: tuple[float, float],
    lines: Sequence[tuple[float, float]],
    law: Law,
    draws: Sequence[Law],
) -> HeldOut:
    def at(slope: float, intercept: float) -> float:
        return math.exp(intercept + slope * math.log(budget))

    runs = []
    for trial in outside:
        predicted = law.loss(trial.size, trial.tokens)
        error = predicted / trial.loss - 1
        runs.append({"run": trial.run, "predicted": predicted, "actual": trial.loss, "error": error})
    errors = [run["error"] for run in runs]
    return HeldOut(
        curve=fit_curve(outside),
        size_by_line=at(*power),
        size_by_line_interval=interval([at(*each) for each in lines]) if lines else None,
        size_by_law=law.optimum(budget).parameters,
        size_by_law_interval=intervals(draws, lambda each: each.optimum(budget).parameters),
        loss_by_law=_known(law.optimum(budget).loss),
        loss_by_law_interval=intervals(draws, lambda each: _known(each.optimum(budget).loss)),
        mean_error=sum(map(abs, errors)) / len(errors),
        worst=max(errors, key=abs),
        runs=tuple(runs),
    )


def _doubts(trials: Sequence[Trial], curves: Sequence[Curve], law: Law) -> list[str]:
    """Return a sentence for each fact that weakens the findings."""
    doubts = []
    for curve in curves:
        if curve.best is None:
            doubts.append(
                f"at {curve.budget:.3g} FLOPs the losses have no minimum: this budget is left out of the line"
            )
        elif not curve.enclosed:
            doubts.append(
                f"at {curve.budget:.3g} FLOPs the best size lies beyond the sizes that were run: it is a guess, and "
                "left out of the line where two other budgets have a best size inside"
            )
    repeated = [trial for trial in trials if trial.epochs > MANY_EPOCHS]
    if repeated:
        most = max(trial.epochs for trial in repeated)
        doubts.append(
            f"{len(repeated)} of {len(trials)} runs repeat their text more than {MANY_EPOCHS:g} times (at most "
            f"{most:.3g}): the law has no term for that; give more text"
        )
    if loose := undetermined(law):
        doubts.append(f"these runs do not determine the law's {', '.join(loose)}: the fit ended at a bound")
    if len({trial.seed for trial in trials}) == 1:
        doubts.append("one seed: the differences by chance are estimated from the fits' residuals alone")
    return doubts
