from dataclasses import replace

import pytest

from lilliput.assembly.recipe import Recipe
from lilliput.base.errors import ConfigError
from lilliput.evaluation.config import EvaluateConfig
from lilliput.model.config import ModelConfig
from lilliput.model.counts import flops_per_token, parameters
from lilliput.planning.chinchilla import TOKENS_PER_PARAMETER
from lilliput.planning.choice import SIZES, STORY_BYTES, STORY_TOKENS_PER_PARAMETER, Needs, choose
from lilliput.planning.forecast import SMALLEST, Forecast, Pilot, check, forecast
from lilliput.planning.tuning import Outcome, judge_batches, judge_rates
from lilliput.training.config import TrainConfig

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
    assert found.seconds == pytest.approx(100 * 0.1 + 11 * 2.0 + 11 * 3.0 + 10 * 0.5)
    assert found.flops == flops_per_token(MODEL).training * 51_200
    assert found.parameters == parameters(MODEL).total
    assert found.epochs == pytest.approx(0.2)
    errors = check(found, {"seconds": found.seconds * 2, "tokens": 51_200})
    assert errors["seconds"]["error"] == pytest.approx(-0.5)
    assert errors["tokens"]["error"] == 0


def test_a_clock_leaves_fewer_steps():
    found = cast(seconds=100)
    assert found.seconds == 100
    assert found.steps == pytest.approx((100 - 22 - 33 - 5) / 0.1, abs=2)
    assert cast(seconds=100, steps=50).steps == 50


def test_what_ends_the_run_is_named_first():
    found = cast(steps=100, epochs=4, seconds=1e6)
    assert (found.bound, found.others) == ("train.steps=100", ("train.epochs=4.0", "train.seconds=1e+06"))
    assert cast(steps=100, epochs=0.1).bound == "train.epochs=0.1"
    assert cast(steps=10_000, seconds=100).bound == "train.seconds=100"
    assert cast(tokens=51_200, epochs=4).bound == "train.tokens=51,200"
    small = cast(rows_per_epoch=10, steps=1000, epochs=4, least_steps=200)
    assert (small.bound, small.steps) == ("train.least_steps=200", 200)


def test_everything_between_the_steps_counts_and_so_does_the_end():
    plain, heavy = replace(PILOT, evaluation_seconds=2.0), replace(PILOT, evaluation_seconds=9.0)
    both = [
        forecast(
            MODEL,
            TrainConfig(steps=100, early_checkpoints=True, checkpoint_seconds=0.5),
            EvaluateConfig(steps=5),
            replace(pilot, first_evaluation_seconds=2.0, ending_seconds=7.0),
            rows_per_epoch=1000,
            cores=2,
            memory_bytes=None,
        )
        for pilot in (plain, heavy)
    ]
    assert both[0].seconds == pytest.approx(100 * 0.1 + 21 * 2.0 + 21 * 3.0 + (20 + 7) * 0.5)
    assert both[1].seconds - both[0].seconds == pytest.approx(20 * 7.0)  # the first evaluation has no benchmarks
    assert both[0].ending_seconds == 7.0


def _planned(needs: Needs, tokens_a_byte: float) -> Forecast:
    """The forecast of what is chosen, on a machine as fast as was supposed, for text of so many tokens a byte."""
    chosen = choose(needs)
    recipe = Recipe.model_validate({key: value for key, value in chosen.values.items() if key != "data"})
    train, model = recipe.train, recipe.model
    step = flops_per_token(model).training * train.batch_tokens / needs.speed
    if needs.text_bytes is None:
        (source,) = chosen.values["data"]["sources"]
        rows = source["stories"] * STORY_BYTES * tokens_a_byte / model.context_length
    else:
        rows = needs.text_bytes * tokens_a_byte / model.context_length
    return forecast(
        model,
        train,
        EvaluateConfig(samples=0),
        Pilot(10, step, step, step, step, None, "cpu", "fp32", 2, 8, False),
        rows_per_epoch=int(rows),
        cores=2,
        memory_bytes=64 * 10**9,
        tokens_per_parameter=STORY_TOKENS_PER_PARAMETER if needs.text_bytes is None else TOKENS_PER_PARAMETER,
    )


@pytest.mark.parametrize("seconds", [60, 180, 1800, 4 * 3600, 48 * 3600])
@pytest.mark.parametrize("text_bytes", [None, 300_000, 3_000_000, 100_000_000, 5_000_000_000])
def test_plan_does_not_doubt_what_init_chose_and_takes_the_time_that_was_asked(seconds, text_bytes):
    for tokens_a_byte in (0.2, 0.3):
        found = _planned(Needs("stories", (), text_bytes, 180e9, "here", seconds), tokens_a_byte)
        assert found.warnings == ()
        assert found.bound in (f"train.seconds={seconds:,g}", "train.epochs=4.0")
        if found.bound.startswith("train.seconds"):
            assert found.seconds == seconds


@pytest.mark.parametrize("parameters", [3e6, 5e6, 30e6])
@pytest.mark.parametrize("text_bytes", [None, 50_000_000, 5_000_000_000])
def test_plan_does_not_doubt_a_size_s_own_length(parameters, text_bytes):
    found = _planned(Needs("stories", (), text_bytes, 180e9, "here", None, parameters), 0.25)
    assert not [doubt for doubt in found.warnings if "a parameter" in doubt or "epochs" in doubt]


def test_doubts_are_printed_where_they_hold():
    doubts = " ".join(cast(steps=100_000, rows_per_epoch=100, memory_bytes=1_000_000).warnings)
    for words in ("epochs, over 4", "of memory"):
        assert words in doubts
    assert "under 20" in " ".join(cast(steps=10).warnings)
    assert cast(steps=50_000, rows_per_epoch=100_000).warnings == ()
    large = ModelConfig(style="story_10m")
    pilot = replace(PILOT, micro_batch_rows=1)
    words = {"rows_per_epoch": 1000, "cores": 2, "memory_bytes": None}
    short = forecast(large, TrainConfig(steps=100, batch_tokens=512), EvaluateConfig(), pilot, **words)
    assert "a model of" in " ".join(short.warnings)
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
    assert "no rate diverged" in " ".join(judge_rates([outcome(1, 3.0), outcome(2, 2.0)]).doubts)
    assert judge_rates([outcome(1, 9.0)]).best is None


def test_batches_name_the_largest_stable_the_fastest_and_the_best():
    found = judge_batches([outcome(64, 2.0), outcome(512, 2.5), outcome(4096, None, failed="killed")])
    assert (found.largest_stable, found.fastest, found.best) == (512, 512, 64)


def test_the_smallest_size_is_known_to_both():
    assert SIZES[0] == SMALLEST


def test_a_choice_follows_time_and_text():
    short = choose(Needs("stories", (), None, 180e9, "here", 180))
    long = choose(Needs("stories", (), None, 180e9, "here", 48 * 3600))
    assert short.values["model"]["style"] == "story_1m"
    assert long.parameters > 5 * short.parameters
    little = choose(Needs("text", ({"kind": "text", "paths": ["a.txt"]},), 1_000_000, 180e9, "here", 3600))
    assert little.tokens <= 4 * 1_000_000 / 3
    assert little.values["train"]["epochs"] == 4
    assert "this ends the run" in little.reasons["train.epochs"]
    assert "this ends the run" not in little.reasons["train.seconds"]
    assert "this ends the run" in short.reasons["train.seconds"]
    assert choose(Needs("endings", (), None, 1e12, "here", 600)).values["objective"]["kind"] == "reversed"
    with pytest.raises(ConfigError, match=r"unknown purpose 'story'.*stories"):
        choose(Needs("story", (), None, 1e12, "here", 600))
    with pytest.raises(ConfigError, match="only"):
        choose(Needs("stories", (), None, 1e9, "here", 1))
