"""What a recipe becomes where other text than its own is named."""

from pathlib import Path

import pytest
import yaml

from lilliput.assembly.assembly import Assembly
from lilliput.assembly.recipe import check_same, load, mend, recipe_of, write
from lilliput.base import machine
from lilliput.base.errors import CheckpointError, ConfigError
from lilliput.base.shipped import shipped
from lilliput.planning import dial, speed
from lilliput.runs.run_folder import RunFolder


def test_what_was_chosen_for_the_story_world_does_not_go_with_other_text(tmp_path: Path) -> None:
    text = tmp_path / "own.txt"
    text.write_text("A dog ran home.\n\nA cat sat down.")
    own, world = load("story", data=[str(text)]), load("story")
    assert (world.tokenizer.vocab_size, world.data.packing) == (4096, "aligned")
    assert (own.tokenizer.vocab_size, own.data.packing) == (2048, "auto")
    asked = load("story", ["tokenizer.vocab_size=512", "data.packing=aligned"], data=[str(text)])
    assert (asked.tokenizer.vocab_size, asked.data.packing) == (512, "aligned")
    file = tmp_path / "mine.yaml"
    file.write_text("tokenizer: {vocab_size: 999}\ntrain: {steps: 5}\n")
    assert load(file, data=[str(text)]).tokenizer.vocab_size == 999


def test_who_gives_epochs_means_them() -> None:
    assert load("story").train.least_steps == 200
    assert load("story", ["train.epochs=1"]).train.least_steps is None
    assert load("story", changes={"train": {"epochs": 2.0}}).train.least_steps is None
    assert load("story", ["train.epochs=1", "train.least_steps=9"]).train.least_steps == 9


@pytest.fixture
def begun(tmp_path: Path) -> RunFolder:
    """The folder of a run of the story recipe that has logged a line."""
    run = RunFolder(tmp_path / "run")
    run.path.mkdir()
    write(load("story"), run)
    run.append_metrics({"step": 0})
    return run


@pytest.mark.parametrize("old_new", [("steps: ", "steps: 1"), ("{", "["), ("name", "nome"), (None, ""), (None, "\0")])
def test_a_recipe_that_damage_changed_is_moved_aside_and_the_checkpoints_one_counts(begun: RunFolder, old_new) -> None:
    kept, text, printed = load("story").model_dump(mode="json"), begun.recipe.read_text(), []
    old, new = old_new
    begun.recipe.write_text(new if old is None else text.replace(old, new).replace("null", "{"))
    damaged = begun.recipe.read_text()
    mend(begun, kept, printed.append)
    assert begun.recipe.read_text() == text
    assert (begun.path / "recipe.yaml.damaged").read_text() == damaged
    assert "moved aside as recipe.yaml.damaged" in printed[0]
    check_same(load("story"), begun, kept)
    with pytest.raises(CheckpointError, match="seed: 1 there, 2 now"):
        check_same(load("story", ["seed=2"]), begun, kept)


def test_a_recipe_of_which_nothing_else_is_known_is_moved_aside_only_before_the_first_checkpoint(begun) -> None:
    begun.recipe.write_text("{")
    (begun.checkpoints / "step-0000001").mkdir(parents=True)
    with pytest.raises(ConfigError, match="not valid YAML"):
        mend(begun, None, lambda text: None)
    assert begun.recipe.read_text() == "{"
    (begun.checkpoints / "step-0000001").rmdir()
    mend(begun, None, lambda text: None)
    assert not begun.recipe.exists()


def test_a_recipe_that_is_whole_stays(begun: RunFolder) -> None:
    kept, text = load("story").model_dump(mode="json"), begun.recipe.read_text()
    begun.recipe.write_text("# a remark\n" + yaml.safe_dump(yaml.safe_load(text), sort_keys=True))
    for known in (kept, None):
        mend(begun, known, pytest.fail)
    assert begun.recipe.read_text().startswith("# a remark")


def test_a_recipe_is_read_without_measuring_the_machine(monkeypatch: pytest.MonkeyPatch, begun: RunFolder) -> None:
    """Only the dial measures: what a run is cannot depend on where its recipe is read."""

    def measured(*given: object, **options: object) -> None:
        raise AssertionError("the machine was measured")

    monkeypatch.setattr(machine, "kept_peak", measured)
    monkeypatch.setattr(speed, "kept_peak", measured)
    monkeypatch.setattr(dial, "training_speed", measured)
    assert len(shipped()) >= 2
    for name in shipped():
        assert load(name).model_dump(mode="json") == dial.load_recipe(name).model_dump(mode="json")
    assert load(begun.recipe) == dial.load_recipe(begun.recipe) == load("story")
    assert recipe_of(begun.path) == load("story")
    with pytest.raises(AssertionError, match="was measured"):
        dial.load_recipe("story", ["size=1m"])


def test_an_encoder_and_a_decoder_each_need_their_objective() -> None:
    with pytest.raises(
        ConfigError, match=r"'masked' trains an encoder, and the model is a decoder \(model\.causal=true"
    ) as found:
        load("story", ["objective=masked"])
    assert "model.style=modernbert_1.3m" in str(found.value)
    assert load("story", ["objective=masked", "model.style=modernbert_1.3m"]).model.causal is False
    with pytest.raises(
        ConfigError, match=r"'causal' trains a decoder, and the model is an encoder \(model\.causal=false"
    ):
        load("masked", ["objective=causal"])


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("orpo", "dpo objective=orpo"),
        ("simpo", "dpo objective=simpo"),
        ("causal", "story"),
        ("reversed", "story-reversed"),
    ],
)
def test_an_objective_that_is_no_recipe_names_the_recipe_that_takes_it(kind: str, words: str) -> None:
    with pytest.raises(ConfigError, match=f"there is no recipe '{kind}': it is an objective") as found:
        load(kind)
    assert found.value.hint == f"lilliput train {words}"
    assert load(words.split()[0], words.split()[1:]).objective.kind == kind


def test_nothing_held_out_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"data.validation_fraction is 0, .* data.validation_fraction=0.01"):
        load("story", ["data.validation_fraction=0"])


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("objective.reference", ["dpo", "objective.reference=nowhere"]),
        ("objective.reference", ["kto", "objective.reference=nowhere"]),
        ("objective.reference", ["ppo", "objective.reference=nowhere"]),
        ("objective.teacher", ["distill", "objective.teacher=nowhere"]),
        ("objective.rewards.1.run", ["grpo", "objective.rewards=[{kind: length}, {kind: model, run: nowhere}]"]),
    ],
)
def test_a_model_that_is_not_there_is_named_before_any_work(
    tmp_path: Path, setting: str, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = load(words[0], words[1:])
    monkeypatch.setattr("lilliput.assembly.assembly.dataset", lambda *given: pytest.fail("the data was prepared"))
    with pytest.raises(CheckpointError, match=f"{setting}: there is no run or model folder 'nowhere'"):
        Assembly(recipe, RunFolder(tmp_path / "run"), lambda text: None, live=False)
