"""Runs that learn from rewards: trained, interrupted and resumed to the same bits, judged and reported."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from lilliput import api
from lilliput.base.errors import ConfigError, DataError
from lilliput.runs.record import RunRecord
from lilliput.runs.report import page
from lilliput.runs.run_folder import RunFolder
from lilliput.training.callbacks import Callback

SHAPE = [
    "model.d_model=16",
    "model.n_layers=1",
    "model.n_heads=2",
    "model.context_length=32",
    "tokenizer.vocab_size=280",
    "train.steps=6",
    "train.batch_tokens=128",
    "train.checkpoint_steps=2",
    "train.log_steps=1",
    "evaluate.steps=3",
    "objective.max_completion_length=8",
    "objective.rewards=[{kind: length, least: 3}, {kind: json, weight: 0}]",
]
KINDS = {
    "grpo": ["objective.kind=grpo", "objective.num_generations=4", "objective.minibatches=2"],
    "ppo": ["objective.kind=ppo", "objective.num_ppo_epochs=2", "objective.beta=0"],
}


class StopAt(Callback):
    def __init__(self, step: int):
        self.at = step

    def on_step(self, trainer: Any, record: dict[str, Any]) -> None:
        if trainer.step == self.at:
            trainer.interrupt("enough")


def train(
    folder: Path,
    kind: str,
    name: str,
    *callbacks: Callback,
    given: Sequence[str] = (),
    notify: Callable[[str], None] = lambda text: None,
) -> RunFolder:
    options: dict[str, Any] = {"runs": folder, "live": False, "notify": notify, "callbacks": callbacks}
    api.train("story", [*SHAPE, *KINDS[kind], *given], data=str(folder / "prompts.txt"), name=name, **options)
    return RunFolder(folder / name)


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    names = ("Tom", "Lily", "Ned", "Ann", "Bo", "Sue", "Max", "Ida", "Ben", "Eve", "Sam", "Mia")
    (tmp_path / "prompts.txt").write_text("\n<|endoftext|>\n".join(f"One day {name} saw a dog" for name in names * 3))
    return tmp_path


def test_a_prompt_without_room_is_left_out_before_the_run(prompts: Path) -> None:
    text = (prompts / "prompts.txt").read_text()
    (prompts / "prompts.txt").write_text(f"{text}\n<|endoftext|>\n{'One day a dog saw a cat. ' * 4}")
    notes: list[str] = []
    run = train(prompts, "grpo", "run", notify=notes.append)
    assert run.read_summary()["stopped"] == "finished"
    (note,) = [note for note in notes if "1 of " in note]
    assert "longer than 24 tokens, which leave 8 of the context to a completion" in note
    assert "objective.max_completion_length" in note
    with pytest.raises(DataError, match=r"1 of .* longer than 24 tokens"):
        train(prompts, "grpo", "refused", given=["data.too_long=refuse"])


@pytest.mark.parametrize("kind", KINDS)
def test_dropout_is_refused_before_any_work(prompts: Path, kind: str) -> None:
    with pytest.raises(ConfigError, match=r"model.dropout is 0.1; give model.dropout=0"):
        train(prompts, kind, "run", given=["model.dropout=0.1"])
    assert not (prompts / "run").exists()


def _lines(file: Path) -> list[dict[str, Any]]:
    timed = ("seconds", "tokens_per_second", "peak_memory_bytes")
    return [
        {key: value for key, value in json.loads(line).items() if key not in timed}
        for line in file.read_text().splitlines()
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_goes_on_to_the_same_bits(prompts: Path, kind: str) -> None:
    whole = train(prompts, kind, "whole")
    assert not train(prompts, kind, "cut", StopAt(3)).summary.exists()
    cut = train(prompts, kind, "cut")
    assert cut.read_summary()["sha256"] == whole.read_summary()["sha256"]
    assert _lines(cut.metrics) == _lines(whole.metrics)
    assert cut.rollouts.read_bytes() == whole.rollouts.read_bytes()
    assert {line["which"] for line in whole.read_rollouts()} == {"best", "worst"}
    state = (folder / "checkpoints/step-0000006/trainer/state.json" for folder in (whole.path, cut.path))
    assert all(file.is_file() for file in state)


def test_it_is_judged_by_reward_and_the_report_shows_it(prompts: Path) -> None:
    run = train(prompts, "grpo", "run")
    summary = run.read_summary()
    assert summary["val_negative_reward"] == pytest.approx(-summary["val_reward"])
    assert 0 <= summary["val_rewards/length/mean"] <= 1
    shown = page(RunRecord.read(run.path))
    for part in (
        "Preferences and rewards",
        "Reward by part",
        "Entropy of a token",
        "best at step",
        "minus the mean reward",
    ):
        assert part in shown
