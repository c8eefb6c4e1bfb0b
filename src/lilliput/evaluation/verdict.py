"""The verdict on a run: whether it needed more training, less training, or another change."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

# A second seed changes a slope or a gap by up to one percent of the loss on sets of this size.
SMALL = 0.01
FEWEST_STEPS, ENOUGH_STEPS = 50, 1000
"""A run with fewer steps than the first number is hardly past its warm-up, for any shape of its curve. The verdict on
such a run proposes the second number."""
BY_HEART = 0.1
"""With training bits this share below validation, the model has learnt its text better than the language."""
HIGH = 0.3
"""With a final learning rate above this share of its peak, the decay that lowers the loss once more has not
happened."""


@dataclass(frozen=True, slots=True)
class Point:
    """One evaluation: bits a byte on the validation split, and on the training batches since the previous
    evaluation."""

    step: int
    validation: float
    train: float | None


@dataclass(frozen=True, slots=True)
class Ending:
    """The end of a run. `longer(factor)` returns the overrides for a run `factor` times as long, empty where no bound
    ended this run. `rate` is the learning rate at the end as a multiple of its peak. `final_rate` is its value when the
    whole budget is used."""

    longer: Callable[[float], str]
    rate: float = 0.0
    final_rate: float = 0.0


def verdict(
    points: Sequence[Point],
    baselines: Mapping[str, float] | None = None,
    final: float | None = None,
    ending: Ending | None = None,
    unit: str = "bits a byte",
) -> str:
    """Return one sentence with the settings to type. `points` are in the order of steps, with the untrained weights as
    step 0. `baselines` are the figures of n-gram models and `final` the figure of the model, on the same tokens. All
    figures are in `unit`.

    too short   fewer than 50 steps or three evaluations
    diverged    training ends no better than the untrained weights, or rose with validation
    overfit     validation stands above its best by more than one percent, and training did not rise
    underfit    validation still fell by more than one percent over the last fifth of the steps
    stuck       it did not fall any more, and stands above an n-gram model
    settled     none of these
    """
    scored = [point for point in points if point.step > 0]
    steps = scored[-1].step if scored else 0
    ending = ending or Ending(lambda factor: f"train.steps={math.ceil(factor * steps)}")
    if steps < FEWEST_STEPS:
        asked = (steps and ending.longer(ENOUGH_STEPS / steps)) or f"train.steps={ENOUGH_STEPS}"
        return f"too short for a verdict: {steps} steps; try --name NEW {asked}"
    if len(scored) < 3:
        return f"too few evaluations for a verdict: {len(scored)}; try evaluate.steps={max(1, steps // 10)}"
    best, last = min(scored, key=lambda point: point.validation), scored[-1]
    if diverged := _diverged(points, best, last, unit):
        return f"diverged: {diverged}; lower the rates (train.optimizer.learning_rate), or find them: " + LOOK
    gap = f" (training {last.train:.3f}, validation {last.validation:.3f} {unit})" if last.train else ""
    if last.validation > best.validation * (1 + SMALL):
        return (
            f"overfit: validation was best at step {best.step:,} ({best.validation:.3f}) and rose to "
            f"{last.validation:.3f}; stop there (train.steps={best.step}), give more text or take a smaller model"
        )
    earlier = max((p for p in scored if p.step <= last.step * 0.8), key=lambda p: p.step, default=scored[0])
    fell = (earlier.validation - last.validation) / (earlier.validation or 1.0)  # an error may have fallen to 0
    if fell > SMALL:
        asked = ending.longer(2) or "evaluate.patience=null"
        return (
            f"underfit: validation still fell by {fell:.1%} over the last fifth; more steps would help, such as "
            f"--name NEW {asked}{_rate(ending, steps)}{gap}"
        )
    stands = last.validation if final is None else final
    above = [(bits, name) for name, bits in (baselines or {}).items() if stands > bits]
    if above:
        bits, name = min(above)
        return (
            f"stuck: validation no longer falls and stands at {stands:.3f}, above the {name}'s {bits:.3f}; "
            f"{_lack(last)}, or the rates are wrong ({LOOK}){_rate(ending, steps)}{gap}"
        )
    return f"settled: validation changed by {-fell:+.1%} over the last fifth; {_lack(last)}{_rate(ending, steps)}{gap}"


LOOK = "lilliput plan learning-rate RECIPE"


def _diverged(points: Sequence[Point], best: Point, last: Point, unit: str) -> str:
    """Return the way in which the run failed; empty where it did not fail."""
    untrained = next((point.validation for point in points if point.step == 0), None)
    reached = last.validation if last.train is None else last.train
    if not math.isfinite(last.validation):
        return f"validation ends at {last.validation}"
    if untrained is not None and not reached < untrained * (1 - SMALL):
        return f"training ends at {reached:.3f} {unit}, and untrained weights stood at {untrained:.3f}"
    if best.train is None or last.train is None:
        return ""
    # Only validation decides overfit: where the training loss rises as well, the model did not memorise its text.
    if last.validation > best.validation * (1 + SMALL) and last.train > best.train * (1 + SMALL):
        return (
            f"since step {best.step:,} training rose from {best.train:.3f} to {last.train:.3f} {unit}, and "
            f"validation from {best.validation:.3f} to {last.validation:.3f}"
        )
    return ""


def _lack(last: Point) -> str:
    """Return a change that would lower a loss that no longer falls."""
    if last.train is not None and last.train < last.validation * (1 - BY_HEART):
        return "there is too little text for this model: give more (--data FILE, data.sources)"
    return "a larger model would go lower (model.d_model, model.n_layers)"


def _rate(ending: Ending, steps: int) -> str:
    """The hint where the learning rate is still high at the end."""
    if ending.rate <= HIGH:
        return ""
    # The run was cut off before the rate of its schedule fell. With a budget of this length the rate falls in time.
    asked = (
        f"train.steps={steps}"
        if ending.final_rate <= HIGH
        else "train.schedule.kind=linear train.schedule.final_fraction=0"
    )
    return f"; the learning rate ended at {ending.rate:.0%} of its peak, let it fall: --name NEW {asked}"
