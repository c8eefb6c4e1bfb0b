"""The verdict on a run: did it want more training, less, or something else?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# A slope or gap below one percent of the loss is within what a second seed changes on sets of this size.
SMALL = 0.01
FEWEST_STEPS = 50
"""With fewer steps a run is hardly out of its warm-up, whatever its curve looks like."""


@dataclass(frozen=True, slots=True)
class Point:
    """One evaluation: bits a byte on the validation split, and on the training batches since the one before."""

    step: int
    validation: float
    train: float | None


def verdict(points: Sequence[Point], baselines: Mapping[str, float] | None = None, final: float | None = None) -> str:
    """One sentence, with what to type. `points` are in the order of steps, with the untrained weights as step 0;
    `baselines` are the bits a byte of n-gram models, and `final` those of the model, on one set of tokens.

    too short   fewer than 50 steps or three evaluations
    diverged    training ends no better than the untrained weights
    overfit     validation stands above its best by more than one percent while training went on falling
    underfit    validation still fell by more than one percent over the last fifth of the steps
    stuck       it did not fall any more, and stands above an n-gram model
    settled     none of these
    """
    scored = [point for point in points if point.step > 0]
    steps = scored[-1].step if scored else 0
    if steps < FEWEST_STEPS:
        return f"too short for a verdict: {steps} steps; try train.steps=1000"
    if len(scored) < 3:
        return f"too few evaluations for a verdict: {len(scored)}; try evaluate.steps={max(1, steps // 10)}"
    best, last = min(scored, key=lambda point: point.validation), scored[-1]
    untrained = next((point.validation for point in points if point.step == 0), None)
    reached = last.validation if last.train is None else last.train
    if not (untrained is None or reached < untrained * (1 - SMALL)):
        return (
            f"diverged: training ends at {reached:.3f} bits a byte, and untrained weights stood at {untrained:.3f}; "
            "lower the rates (train.optimizer.learning_rate), or find them: lilliput plan learning-rate RECIPE"
        )
    gap = f" (training {last.train:.3f}, validation {last.validation:.3f} bits a byte)" if last.train else ""
    if last.validation > best.validation * (1 + SMALL) and last.step > best.step:
        return (
            f"overfit: validation was best at step {best.step:,} ({best.validation:.3f}) and rose to "
            f"{last.validation:.3f}; stop there (train.steps={best.step}), give more text or take a smaller model"
        )
    earlier = max((p for p in scored if p.step <= last.step * 0.8), key=lambda p: p.step, default=scored[0])
    fell = (earlier.validation - last.validation) / earlier.validation
    if fell > SMALL:
        return (
            f"underfit: validation still fell by {fell:.1%} over the last fifth; "
            f"more steps would help, such as train.steps={2 * steps}{gap}"
        )
    stands = last.validation if final is None else final
    above = [(bits, name) for name, bits in (baselines or {}).items() if stands > bits]
    if above:
        bits, name = min(above)
        return (
            f"stuck: validation no longer falls and stands at {stands:.3f}, above the {name}'s {bits:.3f}; "
            f"try other rates (lilliput plan learning-rate RECIPE) or a larger model{gap}"
        )
    return f"settled: validation changed by {-fell:+.1%} over the last fifth{gap}"
