"""Options of a recipe act: each leaves a trace that is not there without it."""

import json
from pathlib import Path

import pytest

from lilliput import api
from tests.cli.conftest import TINY


def train(tales: Path, folder: Path, *options: str) -> api.Run:
    return api.train("story", [*TINY, *options], data=str(tales), name="run", runs=folder, notify=lambda text: None)


def test_cost_precision_prompts_trackers_and_early_checkpoints(tales: Path, tmp_path: Path) -> None:
    run = train(
        tales,
        tmp_path,
        "train.precision=bf16",
        "train.watts=50",
        "train.dollars_per_hour=3600",
        "train.grams_co2_per_kwh=100",
        "train.trackers=[tensorboard]",
        "train.early_checkpoints=true",
        "train.checkpoint_steps=12",
        "evaluate.prompts=[A dog, The cat]",
        "evaluate.baselines=[2]",
    )
    summary = run.summary
    assert summary["precision"] == "bf16"
    assert summary["cost"]["kwh"] == pytest.approx(50 * summary["seconds"] / 3.6e6, rel=0.1)
    assert summary["cost"]["dollars"] == pytest.approx(summary["seconds"], rel=0.1)
    assert summary["cost"]["co2_grams"] == pytest.approx(100 * summary["cost"]["kwh"])
    assert list((run.path / "tensorboard").iterdir())
    assert [path.name for path in run.checkpoints] == [f"step-{step:07d}" for step in (1, 2, 4, 8, 12)]
    assert "**A dog**" in run.folder.samples.read_text()
    assert list(summary["baselines"]) == ["bigram"]


def test_recomputing_activations_changes_no_bit(tales: Path, tmp_path: Path) -> None:
    plain = train(tales, tmp_path / "plain")
    recomputed = train(tales, tmp_path / "recomputed", "train.activation_checkpointing=true")
    assert plain.summary["sha256"] == recomputed.summary["sha256"]


def test_early_stopping_gives_its_reason(tales: Path, tmp_path: Path) -> None:
    run = train(tales, tmp_path, "evaluate.patience=2", "evaluate.min_improvement=9", "evaluate.steps=2")
    assert run.summary["stopped"].startswith("early stopping: no improvement in 2 evaluations")
    assert run.summary["steps"] == 4


def test_no_samples_when_none_are_asked_for(tales: Path, tmp_path: Path) -> None:
    assert not train(tales, tmp_path, "evaluate.samples=0").folder.samples.exists()


@pytest.mark.parametrize(
    ("options", "steps"),
    [
        (["train.tokens=1024"], 4),
        (["train.steps=null", "train.epochs=0.2"], None),
        (["data.packing=best_fit", "train.steps=3"], 3),
        (["data.max_documents=150", "train.steps=2", "train.optimizer.kind=adamw", "tokenizer.vocab_size=290"], 2),
    ],
)
def test_budgets_and_packing(tales: Path, tmp_path: Path, options: list[str], steps: int | None) -> None:
    summary = train(tales, tmp_path, *options).summary
    if steps is None:
        assert summary["epochs"] == pytest.approx(0.2, abs=0.05)
    else:
        assert summary["steps"] == steps


def test_epochs_that_end_a_run_before_its_steps_are_reported(tales: Path, tmp_path: Path) -> None:
    printed: list[str] = []
    few = [*TINY, "train.steps=5000", "train.epochs=0.2"]
    run = api.train("story", few, data=str(tales), name="run", runs=tmp_path, notify=printed.append)
    steps = run.summary["steps"]
    assert steps < 5000
    assert f"{steps:,} steps at most, after which the text was read 0.2 times (train.epochs)" in printed


def test_seeds_give_different_weights_and_the_same_data(tales: Path, tmp_path: Path) -> None:
    runs = [train(tales, tmp_path / seed, f"seed={seed}", "train.steps=1") for seed in "12"]
    assert runs[0].summary["sha256"] != runs[1].summary["sha256"]
    assert json.dumps(runs[0].summary["data"]) == json.dumps(runs[1].summary["data"])


def test_what_computes_a_run_is_printed_only_when_asked_for(tales: Path, tmp_path: Path) -> None:
    def lines(folder: str, verbose: bool = False) -> str:
        printed: list[str] = []
        api.train(
            "story", TINY, data=str(tales), name="run", runs=tmp_path / folder, notify=printed.append, verbose=verbose
        )
        return "\n".join(printed)

    assert "memory by" not in lines("plain")
    loud = lines("loud", verbose=True)
    assert "memory by" in loud
    assert "attention, activations and softmax by" in loud


def test_a_small_text_is_read_often_enough_and_the_run_warns(tmp_path: Path) -> None:
    text = tmp_path / "small.txt"
    text.write_text("\n\n".join(f"A dog number {n} ran to the park and sat down by the old tree." for n in range(40)))
    printed: list[str] = []
    options = [*TINY, "train.epochs=1", "train.least_steps=19", "train.steps=20"]
    run = api.train("story", options, data=str(text), name="run", runs=tmp_path, notify=printed.append)
    assert run.summary["steps"] == 19
    assert any(line.startswith("TOO LITTLE TEXT") and "19 steps" in line for line in printed)
    other = api.train("story", [*options, "train.least_steps=null"], data=str(text), name="two", runs=tmp_path)
    assert other.summary["steps"] < 19


def test_heroes_are_counted_in_the_story_world_alone(tales: Path, tmp_path: Path) -> None:
    options = [*TINY, "evaluate.heroes=2", "evaluate.final_heroes=4"]
    own = train(tales, tmp_path / "own", "evaluate.heroes=2", "evaluate.final_heroes=4")
    assert "val_hero_kept" not in own.summary
    assert all("val_hero_kept" not in line for line in own.metrics)
    source = "data.sources=[{kind: story, stories: 300}]"
    world = api.train("story", [*options, source], name="run", runs=tmp_path / "world", notify=lambda text: None)
    assert world.summary["val_heroes"] == 4
    assert 0 <= world.summary["val_hero_kept"] <= 1
    assert [line["step"] for line in world.metrics if "val_hero_kept" in line] == [0, 6, 12]
    assert world.metrics[-1]["peak_memory_bytes"] > 1e6
    assert world.summary["peak_memory_bytes"] >= world.metrics[-1]["peak_memory_bytes"]
    assert world.folder.samples.read_text().startswith("## step 0 ")
