"""Evaluations, samples and verdicts of a run that its clock ends: killed, resumed, begun by an older version."""

import re
from pathlib import Path
from typing import Any

import pytest

from lilliput.evaluation.callbacks import Evaluation, SamplesThroughTime
from lilliput.evaluation.config import EvaluateConfig
from lilliput.runs import checkpoint
from lilliput.runs.samples_file import Sample, parse_samples
from lilliput.training.trainer import Trainer
from tests.training.test_trainer import FakeClock, StopAt, trainer

CLOCK: dict[str, Any] = {
    "steps": None, "epochs": 1000, "seconds": 100.0, "checkpoint_steps": None, "keep_checkpoints": 20
}  # fmt: skip


def score(bits: float) -> dict[str, float]:
    return {"val_loss": bits, "val_bits_per_byte": bits, "val_perplexity": 2.0**bits}


class Falling:
    """A score that falls at each evaluation, so that each is known by its number."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> dict[str, float]:
        self.count += 1
        bits = 3.0 / self.count
        return score(bits)


def begin(
    path: Path, monkeypatch: pytest.MonkeyPatch, *first: Any, resume: bool = False, **options: Any
) -> tuple[Trainer, Evaluation]:
    clock = FakeClock(1.0)
    monkeypatch.setattr("lilliput.training.trainer.time", clock)
    config = EvaluateConfig()
    evaluation = Evaluation(config, Falling())
    samples = SamplesThroughTime(
        config, ["Once"], lambda prompts: [Sample(p, " upon") for p in prompts], lambda shown: None
    )
    return trainer(path, resume, callbacks=[*first, evaluation, samples, clock], **{**CLOCK, **options}), evaluation


def die(trainer: Trainer) -> None:
    raise KeyboardInterrupt


def evaluated(t: Trainer) -> list[int]:
    return [record["step"] for record in t.run.read_metrics() if "val_loss" in record]


def sampled(t: Trainer) -> list[int]:
    return [section.step for section in parse_samples(t.run.samples.read_text())]


def test_a_run_that_its_clock_ends_keeps_all_of_its_tenths_and_goes_on_after_a_kill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand epochs would take 12,500 steps; the clock ends the run after a hundred, and it is killed after 57."""
    killed, _ = begin(tmp_path, monkeypatch, StopAt(57, die))
    assert killed.budget.steps == 12_500
    with pytest.raises(KeyboardInterrupt):
        killed.train()
    tenths = [11, 21, 31, 41, 51]
    assert killed.run.steps() == tenths
    assert evaluated(killed) == sampled(killed) == [0, *tenths]

    resumed, evaluation = begin(tmp_path, monkeypatch, resume=True)
    assert resumed.train().text == "finished"
    assert evaluated(resumed) == sampled(resumed) == [0, *tenths, 61, 71, 81, 91, 101]
    assert [point.step for point in evaluation.points] == evaluated(resumed)
    assert "peak_memory_bytes" in resumed.run.read_metrics()[0]


def test_a_checkpoint_of_an_older_version_is_gone_on_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    killed, _ = begin(tmp_path, monkeypatch, StopAt(57, die))
    with pytest.raises(KeyboardInterrupt):
        killed.train()
    read = checkpoint.read_state

    def older(folder: Path) -> checkpoint.TrainerState:
        state = read(folder)
        del state.values["counters"]["before"], state.values["counters"]["progress"]
        del state.values["callbacks"]["Evaluation"]["training"]
        return state

    monkeypatch.setattr("lilliput.runs.checkpoint.read_state", older)
    resumed, _ = begin(tmp_path, monkeypatch, resume=True)
    assert resumed.train().text == "finished"
    assert evaluated(resumed) == [0, 11, 21, 31, 41, 51, 61, 71, 81, 91, 101]


def test_training_bits_of_a_point_are_the_mean_since_the_point_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a resume in the middle of an interval too: with a line a step, metrics.jsonl has every step's bits."""

    def run(path: Path, *first: Any, resume: bool = False) -> tuple[Trainer, Evaluation]:
        options = {"steps": 20, "epochs": None, "seconds": None, "checkpoint_steps": 3}
        return begin(path, monkeypatch, *first, resume=resume, **options)

    killed, _ = run(tmp_path, StopAt(11, die))
    with pytest.raises(KeyboardInterrupt):
        killed.train()
    t, evaluation = run(tmp_path, resume=True)
    t.train()
    lines = {line["step"]: line["bits_per_byte"] for line in t.run.read_metrics() if line["step"]}
    assert evaluation.points[0].train is None
    assert len(evaluation.points) == 11
    for point in evaluation.points[1:]:
        assert point.train == pytest.approx((lines[point.step - 1] + lines[point.step]) / 2)


def test_the_verdict_names_the_bounds_that_ended_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    t, evaluation = begin(tmp_path / "clock", monkeypatch, epochs=12)
    t.train()
    t.counters.seconds += 50.0  # baselines are counted, the report is written
    found = evaluation.verdict(t)
    assert "underfit" in found
    # 12 epochs are 150 steps: the double of 101 is 202 steps, or 16.2 epochs; nothing happens for train.steps.
    assert re.search(r"--name NEW train\.epochs=16\.2 train\.seconds=200\b", found), found
    assert "learning rate" not in found

    t, evaluation = begin(tmp_path / "steps", monkeypatch, epochs=None, seconds=None, steps=120)
    t.train()
    assert "train.steps=240" in evaluation.verdict(t)


def test_early_stopping_writes_its_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    t, evaluation = begin(tmp_path, monkeypatch)
    evaluation.config = EvaluateConfig(patience=3)
    scores = iter([3.0, 2.0, 1.5, 1.2, 1.2, 1.2, 1.2])
    evaluation.measure = lambda: score(next(scores))
    stopped = t.train().text
    assert stopped.startswith("early stopping: no improvement in 3 evaluations (settled")
    assert re.search(r"the learning rate ended at \d\d% of its peak, let it fall: --name NEW train.steps=61", stopped)
