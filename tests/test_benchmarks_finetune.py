"""The benchmark of teaching: its arithmetic, and real workers of every stage at a tiny size."""

import json

import pytest

import finetune
from lilliput.base.console import use_json
from rounds import Turn

SMALL = {"length": 16, "prompt": 6, "new-tokens": 4, "each": 2, "rows": 2, "rounds": 1, "steps": 1}
TINY = ["--size", "llama2c_260k", *(f"--{name}={value}" for name, value in SMALL.items())]


def _turn(cpu: float, generation: float = 0.0) -> Turn:
    return Turn(2 * cpu, 1.0, 100, cpu, {"generation": generation, "reward": 0.0})


def test_figures_are_of_one_step_and_ratios_within_rounds():
    turns = {"ours": [_turn(1.0), _turn(2.0), _turn(4.0)], "trl": [_turn(9.0), _turn(4.0), _turn(8.0)]}
    figures = finetune.as_json(turns, {arm: each[0] for arm, each in turns.items()}, steps=2)
    assert figures["cpu_seconds"] == {"ours": 1.0, "trl": 4.0}
    assert figures["wall_seconds"] == {"ours": 2.0, "trl": 8.0}
    assert figures["ratios"] == {"ours/trl": 2.0}  # of 9, 2 and 2


def test_parts_of_a_grpo_step_add_up_to_it():
    turns = {"ours": [_turn(4.0, generation=1.0)]}
    figures = finetune.as_json(turns, {"ours": turns["ours"][0]}, steps=2)
    finetune.add_rollouts(figures, turns, steps=2, tokens=100)
    assert figures["parts"]["ours"] == {"generation": 0.5, "reward": 0.0, "training": 1.5}
    assert figures["rollout_tokens_per_cpu_second"]["ours"] == 200


def test_the_fastest_ways_of_both_sides_are_compared():
    stage = {
        "fp32": {"cpu_seconds": {"ours": 2.0, "ours_compiled": 1.5, "trl": 4.0}},
        "bf16": {"cpu_seconds": {"ours": 1.0, "trl": 3.0, "trl_checkpointing": 5.0}},
    }
    found = finetune.best(stage)
    assert (found["ours"]["arm"], found["trl"]["arm"], found["times"]) == ("ours bf16", "trl bf16", 3.0)


def test_what_makes_no_sense_is_refused():
    for given in (["--rounds", "0"], ["--prompt", "128"], ["--each", "1"], ["--stages", "ppo"]):
        with pytest.raises(SystemExit):
            finetune.options(given)


def _measured(capsys: pytest.CaptureFixture, stage: str, *arms: str) -> dict:
    try:
        finetune.main([*TINY, "--precisions", "fp32", "--json", "--stages", stage, "--arms", *arms])
    finally:
        use_json(False)
    return json.loads(capsys.readouterr().out)["stages"][stage]["fp32"]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finetune, "STORIES", 200)
    monkeypatch.setattr(finetune.machine, "matmul_peak", lambda *_, **__: 1e12)


@pytest.mark.study
@pytest.mark.usefixtures("small")
def test_both_sides_learn_the_same(capsys: pytest.CaptureFixture):
    pytest.importorskip("trl")
    first = _measured(capsys, "sft", "ours", "trl")["first_loss"]
    assert first["ours"] == pytest.approx(first["trl"], abs=1e-4)


@pytest.mark.study
@pytest.mark.usefixtures("small")
def test_a_step_of_grpo_has_its_parts(capsys: pytest.CaptureFixture):
    grpo = _measured(capsys, "grpo", "ours")
    parts = grpo["parts"]["ours"]
    assert sum(parts.values()) == pytest.approx(grpo["cpu_seconds"]["ours"])
    assert min(parts["generation"], parts["training"]) > 0
