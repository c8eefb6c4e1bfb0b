"""What a recipe becomes where other text than its own is named."""

from pathlib import Path

from lilliput.recipe import load


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
