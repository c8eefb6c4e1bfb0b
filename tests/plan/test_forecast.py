import pytest

from lilliput.base.errors import ConfigError
from lilliput.evaluate.config import EvaluateConfig
from lilliput.model.config import ModelConfig
from lilliput.model.counts import flops_per_token, parameters
from lilliput.plan.choice import Needs, choose
from lilliput.plan.forecast import Pilot, check, forecast
from lilliput.plan.tuning import Outcome, judge_batches, judge_rates
from lilliput.train.config import TrainConfig

PILOT = Pilot(10, 0.1, 2.0, 3.0, 0.5, None, "cpu", "fp32", 2, 8, False)
MODEL = ModelConfig(style="story_1m")


def cast(rows_per_epoch: int = 1000, memory_bytes: int | None = None, **train):
    config = TrainConfig(**{"batch_tokens": 512, **train})
    return forecast(
        MODEL, config, EvaluateConfig(), PILOT, rows_per_epoch=rows_per_epoch, cores=2, memory_bytes=memory_bytes
    )


def test_a_run_by_steps_adds_up():
    found = cast(steps=100)
    assert found.tokens == 51_200
    assert found.seconds == pytest.approx(100 * 0.1 + 11 * 2.0 + 10 * 3.0 + 10 * 0.5)
    assert found.flops == flops_per_token(MODEL).training * 51_200
    assert found.parameters == parameters(MODEL).total
    assert found.epochs == pytest.approx(0.2)
    errors = check(found, {"seconds": found.seconds * 2, "tokens": 51_200})
    assert errors["seconds"]["error"] == pytest.approx(-0.5)
    assert errors["tokens"]["error"] == 0


def test_a_clock_leaves_fewer_steps():
    found = cast(seconds=100)
    assert found.seconds == 100
    assert found.steps == pytest.approx((100 - 22 - 30 - 5) / 0.1, abs=2)
    assert cast(seconds=100, steps=50).steps == 50


def test_doubts_are_said_where_they_hold():
    doubts = " ".join(cast(steps=100_000, rows_per_epoch=100, memory_bytes=1_000_000).warnings)
    for words in ("epochs, over 4", "of memory"):
        assert words in doubts
    assert "under 20" in " ".join(cast(steps=10).warnings)
    assert cast(steps=50_000, rows_per_epoch=100_000).warnings == ()
    assert "a few days" in " ".join(cast(steps=3_000_000, rows_per_epoch=10**8).warnings)


def outcome(value: float, last: float | None, lowest: float | None = None, failed: str | None = None) -> Outcome:
    return Outcome(value, 10, 100, 4.0, lowest or last, last, value, None, failed)


def test_rates_are_too_low_good_too_high_or_divergent():
    found = judge_rates(
        [outcome(8, 3.9, 2.0), outcome(1, 2.0), outcome(0.1, 3.0), outcome(2, 2.5), outcome(64, None, failed="nan")]
    )
    assert found.verdicts == ("too low", "good", "too high", "divergent", "divergent")
    assert found.best == 1
    assert found.doubts == ()
    assert "none diverged" in " ".join(judge_rates([outcome(1, 3.0), outcome(2, 2.0)]).doubts)
    assert judge_rates([outcome(1, 9.0)]).best is None


def test_batches_name_the_largest_stable_the_fastest_and_the_best():
    found = judge_batches([outcome(64, 2.0), outcome(512, 2.5), outcome(4096, None, failed="killed")])
    assert (found.largest_stable, found.fastest, found.best) == (512, 512, 64)


def test_a_choice_follows_time_and_text():
    short = choose(Needs("stories", (), None, 180e9, "here", 180))
    long = choose(Needs("stories", (), None, 180e9, "here", 48 * 3600))
    assert short.values["model"]["style"] == "story_1m"
    assert long.parameters > 5 * short.parameters
    little = choose(Needs("text", ({"kind": "text", "paths": ["a.txt"]},), 1_000_000, 180e9, "here", 3600))
    assert little.tokens <= 4 * 1_000_000 / 3
    assert "4 epochs" in little.reasons["train.steps"]
    assert choose(Needs("endings", (), None, 1e12, "here", 600)).values["objective"]["kind"] == "reversed"
    with pytest.raises(ConfigError, match=r"unknown purpose 'story'.*stories"):
        choose(Needs("story", (), None, 1e12, "here", 600))
    with pytest.raises(ConfigError, match="only"):
        choose(Needs("stories", (), None, 1e9, "here", 1))
