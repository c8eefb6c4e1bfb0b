"""Schedules by hand-computed values, and budgets."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lilliput.train.config import ScheduleConfig, TrainConfig
from lilliput.train.schedule import Budget, factor


@pytest.mark.parametrize(
    ("kind", "progress", "expected"),
    [
        ("cosine", 0.0, 1.0),
        ("cosine", 0.5, 0.55),
        ("cosine", 1.0, 0.1),
        ("linear", 0.25, 0.775),
        ("linear", 1.0, 0.1),
        ("constant", 0.99, 1.0),
        ("wsd", 0.79, 1.0),
        ("wsd", 0.9, 0.55),
        ("wsd", 1.0, 0.1),
    ],
)
def test_values(kind: str, progress: float, expected: float) -> None:
    config = ScheduleConfig(kind=kind, warmup_steps=0, final_fraction=0.1, decay_fraction=0.2)  # type: ignore[arg-type]
    assert factor(config, 1000, progress) == pytest.approx(expected)


def test_warmup_is_linear_and_reaches_the_peak() -> None:
    config = ScheduleConfig(kind="constant", warmup_steps=4)
    assert [factor(config, step, 0.0) for step in range(5)] == [0.25, 0.5, 0.75, 1.0, 1.0]


@given(st.sampled_from(["cosine", "linear", "wsd", "constant"]), st.integers(0, 500), st.floats(0, 1))
def test_never_negative_never_above_the_peak(kind: str, step: int, progress: float) -> None:
    value = factor(ScheduleConfig(kind=kind), step, progress)  # type: ignore[arg-type]
    assert 0 <= value <= 1 + 1e-12


def test_the_tightest_budget_wins() -> None:
    config = TrainConfig(steps=100, tokens=5000, epochs=2)
    assert Budget.of(config, rows_per_step=4, tokens_per_step=100, rows_per_epoch=1000).steps == 50
    assert Budget.of(config, rows_per_step=4, tokens_per_step=10, rows_per_epoch=1000).steps == 100
    assert Budget.of(config, rows_per_step=40, tokens_per_step=10, rows_per_epoch=1000).steps == 50


def test_clock_and_steps_together() -> None:
    budget = Budget(steps=100, seconds=10.0)
    assert budget.progress(10, 9.0) == pytest.approx(0.9)
    assert budget.progress(50, 1.0) == pytest.approx(0.5)
    assert budget.progress(50, 11.0) == 1.0
    assert math.isclose(Budget(None, 4.0).progress(10**6, 1.0), 0.25)
