"""The verdict: too short, diverged, overfit, underfit, stuck, settled."""

import math

import pytest

from lilliput.evaluation.verdict import Ending, Point, verdict

NGRAMS = {"unigram": 2.2, "bigram": 1.5, "trigram": 1.2}


def points(*values: float, every: int = 100) -> list[Point]:
    return [Point(every * i, value, value - 0.1) for i, value in enumerate(values)]


def test_rising_validation_is_overfit_and_names_the_best_step() -> None:
    curve = [Point(100 * i, value, 2.0 / (i + 1)) for i, value in enumerate([3, 2, 1.5, 1.4, 1.5, 1.7])]
    found = verdict(curve, NGRAMS)
    assert found.startswith("overfit: validation was best at step 300")
    assert "train.steps=300" in found


def test_falling_validation_is_underfit() -> None:
    found = verdict(points(3, 2, 1.5, 1.3, 1.2, 1.1))
    assert found.startswith("underfit: validation still fell by 8.3%")
    assert "--name NEW train.steps=1000" in found


def test_validation_and_training_that_rise_together_have_diverged() -> None:
    found = verdict(points(3, 2, 1.5, 1.4, 1.5, 1.7), NGRAMS)
    assert found.startswith("diverged: since step 300 training rose from 1.300 to 1.600")
    assert "train.optimizer.learning_rate" in found


def test_flat_validation_is_settled_where_it_beats_the_n_grams() -> None:
    flat = points(3, 2, 1.2, 1.11, 1.103, 1.102)
    assert verdict(flat).startswith("settled")
    found = verdict(flat, NGRAMS)
    assert found.startswith("settled")
    assert "model.d_model" in found


def test_flat_validation_above_an_n_gram_is_stuck_and_names_the_best_one_above_which_it_stands() -> None:
    assert "above the trigram's 1.200" in verdict(points(3, 2, 1.45, 1.41, 1.403, 1.402), NGRAMS)
    assert verdict(points(3, 2.5, 2.3, 2.21, 2.203, 2.202), NGRAMS).startswith("stuck")


@pytest.mark.parametrize(("train", "lack"), [(1.38, "a larger model"), (0.9, "too little text")])
def test_what_a_stuck_run_lacks_is_seen_by_what_it_knows_of_its_own_text(train: float, lack: str) -> None:
    curve = [Point(100 * i, value, train) for i, value in enumerate([3, 2, 1.45, 1.41, 1.403, 1.402])]
    found = verdict(curve, NGRAMS)
    assert found.startswith("stuck")
    assert lack in found


@pytest.mark.parametrize(("final_rate", "typed"), [(0.0, "train.steps=500"), (1.0, "train.schedule.kind=linear")])
def test_a_learning_rate_that_is_still_high_is_named_with_what_lets_it_fall(final_rate: float, typed: str) -> None:
    def ending(rate: float) -> Ending:
        return Ending(lambda factor: "train.epochs=8", rate, final_rate)

    for curve in (points(3, 2, 1.5, 1.3, 1.2, 1.1), points(3, 2, 1.2, 1.11, 1.103, 1.102)):
        found = verdict(curve, NGRAMS, ending=ending(0.8))
        assert "the learning rate ended at 80% of its peak" in found
        assert typed in found
        assert "learning rate" not in verdict(curve, NGRAMS, ending=ending(0.1))


def test_a_run_that_wants_more_names_the_bound_that_ended_it() -> None:
    falling = points(3, 2, 1.5, 1.3, 1.2, 1.1)
    assert "--name NEW train.epochs=8" in verdict(falling, ending=Ending(lambda factor: f"train.epochs={4 * factor}"))
    assert "evaluate.patience=null" in verdict(falling, ending=Ending(lambda factor: ""))


def test_a_handful_of_steps_settles_nothing() -> None:
    three = points(7.9, 7.8, 7.8, 7.8, every=1)
    assert verdict(three, NGRAMS) == "too short for a verdict: 3 steps; try --name NEW train.steps=1000"
    assert verdict([]) == "too short for a verdict: 0 steps; try --name NEW train.steps=1000"


def test_two_evaluations_are_too_few() -> None:
    assert verdict(points(3, 2, 1)).startswith("too few evaluations for a verdict: 2")


@pytest.mark.parametrize("end", [3.2, 9.0, math.nan])
def test_no_better_than_untrained_is_diverged(end: float) -> None:
    assert verdict(points(3, 2, 2.5, 2.8, end)).startswith("diverged")


def test_what_was_learnt_by_heart_is_overfit_even_where_validation_ends_above_untrained_weights() -> None:
    curve = [Point(100 * i, value, 3 - i) for i, value in enumerate([4.0, 2.0, 3.0, 5.5])]
    assert verdict(curve).startswith("overfit")
