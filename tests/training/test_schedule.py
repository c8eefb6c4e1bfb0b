"""Schedules by hand-computed values, and budgets."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lilliput.base.errors import ConfigError
from lilliput.training.config import GrowthConfig, ScheduleConfig, TrainConfig
from lilliput.training.schedule import Budget, factor, longer, mean_rows, row_length, step_rows


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
    for batch, steps in ((100, 50), (10, 100), (1000, 5), (2000, 3)):
        sized = config.model_copy(update={"batch_tokens": batch})
        assert Budget.of(sized, context_length=10, rows_per_epoch=10**6).steps == steps
    assert Budget.of(config.model_copy(update={"batch_tokens": 40}), 10, rows_per_epoch=100).steps == 50


def test_what_grows_doubles_in_equal_parts_of_the_beginning() -> None:
    config = TrainConfig(steps=1, batch_tokens=64, growth=GrowthConfig(batch_tokens=16, context=2, fraction=0.4))
    seen = [(step_rows(config, 8, n / 10), row_length(config, 8, n / 10)) for n in range(11)]
    assert seen == [(2, 2), (2, 2), (4, 4), (4, 4), *[(8, 8)] * 7]
    plain = TrainConfig(steps=1, batch_tokens=64)
    assert (step_rows(plain, 8, 0.0), row_length(plain, 8, 0.0), mean_rows(plain, 8)) == (8, 8, 8)


@given(st.integers(1, 6), st.floats(0.1, 1), st.integers(20, 400), st.sampled_from([None, 16, 24, 60, 500]))
def test_a_budget_in_tokens_is_met_while_the_batch_grows(rows: int, fraction: float, steps: int, first) -> None:
    growth = GrowthConfig(batch_tokens=first, fraction=fraction)
    config = TrainConfig(tokens=steps * rows * 8, batch_tokens=rows * 8, growth=growth)
    taken = Budget.of(config, 8, rows_per_epoch=10**9).steps
    assert taken is not None
    tokens = sum(8 * step_rows(config, 8, step / taken) for step in range(taken))
    assert abs(tokens - steps * rows * 8) <= 8 * rows * 8


def test_a_row_that_does_not_double_to_the_context_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"growth.context=3 does not double to the context length of 8"):
        row_length(TrainConfig(steps=1, growth=GrowthConfig(context=3)), 8)


def test_clock_and_steps_together() -> None:
    budget = Budget(steps=100, seconds=10.0)
    assert budget.progress(10, 9.0) == pytest.approx(0.9)
    assert budget.progress(50, 1.0) == pytest.approx(0.5)
    assert budget.progress(50, 11.0) == 1.0
    assert math.isclose(Budget(None, 4.0).progress(10**6, 1.0), 0.25)


@pytest.mark.parametrize("warmup", [0, 20, 100])
def test_cosine_after_warm_up_is_nanogpts(warmup: int) -> None:
    """nanoGPT's get_lr after warm-up: min_lr + 0.5 (1 + cos(pi (it - warmup) / (steps - warmup))) (lr - min_lr)."""
    steps, least = 400, 0.1
    config = ScheduleConfig(kind="cosine", warmup_steps=warmup, final_fraction=least, decay_from="warmup")
    for step in range(steps):
        found = factor(config, step, step / steps)
        if step < warmup:
            assert found == pytest.approx((step + 1) / warmup)
            continue
        ratio = (step - warmup) / (steps - warmup)
        assert found == pytest.approx(least + 0.5 * (1 + math.cos(math.pi * ratio)) * (1 - least))


def test_other_kinds_decay_from_the_end_of_warm_up_as_well() -> None:
    config = ScheduleConfig(kind="linear", warmup_steps=100, decay_from="warmup")
    assert factor(config, 100, 0.25) == pytest.approx(1.0)
    assert factor(config, 250, 0.625) == pytest.approx(0.5)
    assert factor(config.model_copy(update={"decay_from": "start"}), 100, 0.25) == pytest.approx(0.75)


@pytest.mark.parametrize(
    ("bounds", "steps", "words"),
    [
        ({"steps": 100}, 200, "train.steps=200"),
        ({"steps": 100}, 100, ""),
        ({"steps": 1000, "epochs": 2}, 200, "train.epochs=4"),
        ({"steps": 1000, "epochs": 2, "seconds": 90}, 200, "train.epochs=4 train.seconds=180"),
        ({"tokens": 5000, "least_steps": 3}, 1001, "train.tokens=101000"),
        ({"epochs": 0.5, "seconds": 1000}, 26, "train.epochs=0.6"),
        ({"steps": 1}, 33_333.3, "train.steps=33400"),
    ],
)
def test_what_to_type_for_a_longer_run_lifts_every_bound_that_would_end_it(
    bounds: dict[str, float], steps: float, words: str
) -> None:
    config = TrainConfig.model_validate({**bounds, "batch_tokens": 100})
    assert longer(config, 10, rows_per_epoch=1000 if "epochs" not in bounds else 500, steps=steps, seconds=180) == words
    if words:
        lifted = {
            key.removeprefix("train."): float(value) for key, value in (word.split("=") for word in words.split())
        }
        assert (
            Budget.of(TrainConfig.model_validate({**bounds, "batch_tokens": 100, **lifted}), 10, 500).steps or 0
        ) >= steps
