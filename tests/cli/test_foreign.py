"""Flags of LitGPT are refused with the line to type, in the command and in the queue."""

import shlex
from pathlib import Path

import pytest

from lilliput.assembly.recipe import load
from lilliput.base import foreign
from lilliput.base.errors import ConfigError
from lilliput.lab.queue_file import QueueFile
from tests.cli.conftest import Command

ROADMAP = (
    "--train.max_tokens=9_700_000_000 --train.global_batch_size 512 --train.micro_batch_size=128 "
    "--train.lr_warmup_steps=1000 --optimizer.init_args.lr 5e-4 --train.max_norm=1.0 --precision bf16-mixed --seed 42"
)


def hint(words: str, context: int | None = None) -> str:
    with pytest.raises(ConfigError) as refused:
        foreign.refuse(shlex.split(words), ("--name",), lambda: context)
    return refused.value.hint or ""


def test_what_is_printed_is_the_same_recipe() -> None:
    line = hint(ROADMAP, context=256)
    assert line.startswith("type: ")
    made = load("configs/tiny_stories/llama/llama_6L_6H_288D.yaml", line.removeprefix("type: ").split())
    assert made.train.tokens == 9_700_000_000
    assert (made.train.batch_tokens, made.train.micro_batch_tokens) == (512 * 256, 128 * 256)
    assert (made.train.schedule.warmup_steps, made.train.schedule.decay_from) == (1000, "warmup")
    assert (made.train.optimizer.learning_rate, made.train.clip, made.train.precision) == (5e-4, 1.0, "bf16")
    assert made.seed == 42


@pytest.mark.parametrize("flag", sorted({*foreign.SAME, *foreign.ROWS, "precision"}))
def test_every_setting_is_one_of_a_recipe(flag: str) -> None:
    values = {"train.tie_embeddings": "true", "optimizer.init_args.betas": "[0.9,0.95]", "precision": "32-true"}
    value = values.get(flag, "64" if flag != "train.max_seq_length" else "128")
    if flag.endswith(("lr", "learning_rate", "weight_decay")):
        value = "0.1"
    load("story", hint(f"--{flag} {value}", context=256).removeprefix("type: ").split())


def test_what_is_given_in_another_way_is_named() -> None:
    for flag, words in foreign.WORDS.items():
        assert words in hint(f"--{flag} 1")


def test_the_command_names_what_to_type(command: Command) -> None:
    result = command("train", "story", *shlex.split("--train.global_batch_size 8 --train.max_steps=20 --devices 1"))
    assert result.code == 2
    assert "type: train.batch_tokens=2048 train.steps=20; for --devices nothing" in result.err
    mistyped = command("train", "story", "--nam", "x")
    assert mistyped.code == 2
    assert "there is no option --nam (did you mean '--name'?)" in mistyped.err
    assert command("train", "story", "-x").code == 2


def test_the_queue_names_what_to_type(tmp_path: Path) -> None:
    file = tmp_path / "experiments.yaml"
    file.write_text(
        "- {name: a, config: story, devices: 1, environment: local, overrides: [--train.max_tokens=1000]}\n"
    )
    with pytest.raises(ConfigError, match=r"type: train\.tokens=1000"):
        QueueFile(file)
    file.write_text("- {name: a, config: story, devices: 1, environment: local, overrides: [train.tokens=1000]}\n")
    assert QueueFile(file).experiments[0].overrides == ("train.tokens=1000",)
