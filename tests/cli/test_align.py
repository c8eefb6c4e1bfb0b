"""Runs from a trained model on preferences, ratings and labels, and a student of it, as a person starts them."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from lilliput.model.huggingface import from_huggingface
from lilliput.model.stock_heads import read_head
from lilliput.runs.run_folder import RunFolder
from tests.cli.conftest import TINY, Command, command, write_tales

__all__ = ["command"]

FEW = (
    "train.steps=6",
    "train.epochs=null",
    "train.batch_tokens=256",
    "train.compile=false",
    "evaluate.steps=3",
    "evaluate.tokens=2000",
    "evaluate.final_tokens=4000",
    "evaluate.sample_tokens=8",
)
PEOPLE, THINGS = ("Tom", "Lily", "Sam", "Anna"), ("ball", "kite", "cake", "boat", "drum")


def lines(path: Path, make: Any, count: int = 60) -> str:
    path.write_text("\n".join(json.dumps(make(number)) for number in range(count)))
    return path.name


def prompt(number: int) -> str:
    return f"One day {PEOPLE[number % 4]} saw a {THINGS[number % 5]} near {number}"


def pair(number: int) -> dict[str, Any]:
    return {"prompt": prompt(number), "chosen": " the old tree.", "rejected": " a drum a drum."}


def rating(number: int) -> dict[str, Any]:
    return {
        "prompt": prompt(number),
        "completion": [" the old tree.", " a drum a drum."][number % 2],
        "label": number % 2 == 0,
    }


def labelled(number: int) -> dict[str, Any]:
    return {
        "text": prompt(number) + [" Tom was happy.", " It was 7 steps away."][number % 2],
        "label": ["glad", "far"][number % 2],
    }


@pytest.fixture
def base(command: Command, tmp_path: Path) -> Command:
    write_tales(tmp_path / "tales.txt")
    result = command("train", "story", "--data", "tales.txt", "--name", "base", *TINY, "train.steps=4")
    assert result.code == 0, result.err
    return command


def summary(name: str) -> dict[str, Any]:
    return RunFolder(Path("runs") / name).read_summary()


def test_a_reward_model_keeps_its_head_and_is_loaded_with_it(base: Command, tmp_path: Path) -> None:
    source = lines(tmp_path / "pairs.jsonl", pair)
    result = base("train", "reward", "--from", "base", "--data", source, "--name", "judge", *FEW)
    assert result.code == 0, result.err
    found = summary("judge")
    assert 0 <= found["val_accuracy_low"] <= found["val_accuracy"] <= found["val_accuracy_high"] <= 1
    folder = RunFolder(Path("runs/judge")).checkpoint(6) / "model"
    assert json.loads((folder / "config.json").read_text())["architectures"][0].endswith("ForSequenceClassification")
    model = from_huggingface(folder)
    head = read_head(folder, model.config)
    assert head is not None
    assert head.labels == ("reward",)
    stored = RunFolder(Path("runs/judge")).checkpoint(6) / "trainer" / "objective.safetensors"
    assert torch.equal(load_file(stored)["reward.score.weight"], head.score.weight)
    refused = base("generate", "judge", "Once")
    assert refused.code != 0
    assert "generates no text" in refused.err


def test_preferences_and_ratings_align_a_model(base: Command, tmp_path: Path) -> None:
    sources = {"dpo": lines(tmp_path / "pairs.jsonl", pair), "kto": lines(tmp_path / "ratings.jsonl", rating)}
    for recipe, source in sources.items():
        result = base("train", recipe, "--from", "base", "--data", source, "--name", recipe, *FEW)
        assert result.code == 0, result.err
        found = summary(recipe)
        assert "val_rewards/margins" in found
        records = RunFolder(Path("runs") / recipe).read_metrics()
        assert {"rewards/chosen", "logps/chosen"} <= records[-1].keys()
        assert base("generate", recipe, "One day", "--max-tokens", "4").code == 0
    for kind in ("simpo", "orpo"):
        result = base(
            "train",
            "dpo",
            "--from",
            "base",
            "--data",
            sources["dpo"],
            f"objective={{kind: {kind}}}",
            "--name",
            kind,
            *FEW,
        )
        assert result.code == 0, result.err
    wrong = base("train", "dpo", "--from", "base", "--data", sources["kto"], "--name", "wrong", *FEW)
    assert wrong.code != 0
    assert "kto" in wrong.err


def test_a_classifier_stands_beside_its_baselines(base: Command, tmp_path: Path) -> None:
    source = lines(tmp_path / "labels.jsonl", labelled)
    result = base(
        "train", "classify", "--from", "base", "--data", source, "objective.labels=[glad,far]", "--name", "moods", *FEW
    )
    assert result.code == 0, result.err
    found = summary("moods")
    assert found["baselines"].keys() == {"majority class", "bag of words"}
    assert found["val_error"] == pytest.approx(1 - found["val_accuracy"])
    assert found["figure"]["validation"] == "val_error"
    unnamed = base(
        "train", "classify", "--from", "base", "--data", source, "objective.labels=[]", "--name", "unnamed", *FEW
    )
    assert unnamed.code != 0
    assert "objective.labels=[far,glad]" in unnamed.err


def test_a_student_has_its_teachers_tokenizer(base: Command, tmp_path: Path) -> None:
    result = base(
        "train", "distill", "--data", "tales.txt", "--name", "student", "objective.teacher=base", "objective.top_k=8",
        *(each for each in TINY if "vocab_size" not in each),
    )  # fmt: skip
    assert result.code == 0, result.err
    found = summary("student")
    assert found["val_bits_per_byte"] > 0
    assert "kl" in RunFolder(Path("runs/student")).read_metrics()[-1]
    gone = base("train", "distill", "--data", "tales.txt", "--name", "lost", "objective.teacher=nobody", *TINY)
    assert gone.code != 0
    assert "nobody" in gone.err
