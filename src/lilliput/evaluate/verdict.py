"""The verdict on a run: did it want more training, less, or something else?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

# A slope or gap below one percent of the loss is within what a second seed changes on sets of this size.
SMALL = 0.01


@dataclass(frozen=True, slots=True)
class Point:
    """One evaluation: bits a byte on the validation split, and on the training batches since the one before."""

    step: int
    validation: float
    train: float | None


def verdict(points: Sequence[Point]) -> str:
    """One sentence. Overfit: validation stands above its best by more than one percent while training went on
    falling. Underfit: validation still fell by more than one percent over the last fifth of the steps."""
    scored = [point for point in points if point.step > 0]
    if len(scored) < 3:
        return "too few evaluations for a verdict"
    best, last = min(scored, key=lambda point: point.validation), scored[-1]
    gap = f"training {last.train:.3f}, validation {last.validation:.3f} bits a byte" if last.train else ""
    if last.validation > best.validation * (1 + SMALL) and last.step > best.step:
        return (
            f"overfit: validation was best at step {best.step} ({best.validation:.3f}) and rose to "
            f"{last.validation:.3f}; stop earlier, add data or shrink the model"
        )
    earlier = max((p for p in scored if p.step <= last.step * 0.8), key=lambda p: p.step, default=scored[0])
    fell = (earlier.validation - last.validation) / earlier.validation
    if fell > SMALL:
        return f"underfit: validation still fell by {fell:.1%} over the last fifth; more steps would help ({gap})"
    return f"settled: validation changed by {-fell:+.1%} over the last fifth ({gap})"
