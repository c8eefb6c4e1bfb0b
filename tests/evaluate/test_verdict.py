"""The verdict: overfit, underfit, settled."""

from lilliput.evaluate.verdict import Point, verdict


def points(*values: float) -> list[Point]:
    return [Point(100 * i, value, value - 0.1) for i, value in enumerate(values)]


def test_rising_validation_is_overfit_and_names_the_best_step() -> None:
    assert verdict(points(3, 2, 1.5, 1.4, 1.5, 1.7)).startswith("overfit: validation was best at step 300")


def test_falling_validation_is_underfit() -> None:
    assert verdict(points(3, 2, 1.5, 1.3, 1.2, 1.1)).startswith("underfit: validation still fell by 8.3%")


def test_flat_validation_is_settled() -> None:
    assert verdict(points(3, 2, 1.2, 1.11, 1.103, 1.102)).startswith("settled")


def test_two_evaluations_are_too_few() -> None:
    assert verdict(points(3, 2, 1)) == "too few evaluations for a verdict"
