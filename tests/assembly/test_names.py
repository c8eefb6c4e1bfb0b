"""Names in a recipe are checked when it is read, before any work: each error has the nearest known name."""

from typing import Any

import pytest

from lilliput.assembly.recipe import Recipe, load
from lilliput.base.config import validate
from lilliput.base.errors import ConfigError

WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "tracker": (
        {"train": {"steps": 5, "trackers": ["wandb", "tensorbord"]}},
        r"'train.trackers.1': unknown tracker 'tensorbord' \(did you mean 'tensorboard'\?\); known: tensorboard",
    ),
    "task": (
        {"evaluate": {"tasks": ["pika"]}},
        r"'evaluate.tasks.0': unknown task 'pika' \(did you mean 'piqa'\?\); known: ",
    ),
    "task whose answers are written": (
        {"evaluate": {"tasks": ["gsm8k"]}},
        r"'gsm8k' needs generated answers, .*lilliput evaluate RUN --tasks gsm8k",
    ),
    "norm": ({"model": {"norm": "rsm"}}, r"'model.norm': unknown norm 'rsm' \(did you mean 'rms'\?\)"),
    "position": ({"model": {"position": "rotatory"}}, r"'rotatory' \(did you mean 'rotary'\?\)"),
    "MLP": ({"model": {"mlp": "swiglo"}}, r"unknown mlp 'swiglo' \(did you mean 'swiglu'\?\)"),
    "style": ({"model": {"style": "story_1"}}, r"unknown model style 'story_1' \(did you mean 'story_1"),
    "objective": ({"objective": "revesed"}, r"unknown objective 'revesed' \(did you mean 'reversed'\?\)"),
    "source": ({"data": {"sources": ["storie"]}}, r"unknown data source 'storie' \(did you mean 'story'\?\)"),
    "step": ({"data": {"steps": ["normalize"]}}, r"unknown curation step 'normalize' \(did you mean 'normalise'\?\)"),
}


@pytest.mark.parametrize("case", WRONG)
def test_an_unknown_name_is_refused_with_the_nearest_one(case: str) -> None:
    values, message = WRONG[case]
    with pytest.raises(ConfigError, match=message):
        validate(Recipe, values, "a.yaml")


def test_the_names_of_an_override_too() -> None:
    with pytest.raises(ConfigError, match="did you mean 'trackio'"):
        load("story", ["train.trackers=[trackoi]"])


def test_known_names_are_taken() -> None:
    values = {"train": {"steps": 5, "trackers": ["tensorboard"]}, "evaluate": {"tasks": ["piqa", "blimp"]}}
    recipe = validate(Recipe, values, "a.yaml")
    assert recipe.train.trackers == ("tensorboard",)
    assert recipe.evaluate.tasks == ("piqa", "blimp")
    assert validate(Recipe, recipe.model_dump(mode="json"), "again") == recipe
