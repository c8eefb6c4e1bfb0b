"""The dial: one size or one time, and the rest of a recipe by rule."""

from pathlib import Path

import pytest

from lilliput.assembly.recipe import Recipe
from lilliput.base.errors import ConfigError
from lilliput.data.story import Stories
from lilliput.model.counts import parameters
from lilliput.planning import beginning, dial
from lilliput.planning.dial import load_recipe


@pytest.fixture(autouse=True)
def _this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dial, "training_speed", lambda: (81e9, "a training step on 2 threads"))


def tokens(recipe: Recipe) -> int:
    assert recipe.train.steps is not None
    return recipe.train.steps * recipe.train.batch_tokens


def stories(recipe: Recipe) -> int:
    (source,) = recipe.data.sources
    assert isinstance(source, Stories)
    return source.stories


@pytest.mark.parametrize(("asked", "style"), [("1m", "story_1m"), ("5m", "story_5m"), ("7M", "story_7m")])
def test_a_size_gives_the_named_shape_nearest_to_it(asked: str, style: str) -> None:
    recipe = load_recipe("story", [f"size={asked}"])
    assert recipe.model.style == style
    assert recipe.name == f"story-{asked}"


def test_larger_models_see_more_tokens_and_enough_stories() -> None:
    small, large = load_recipe("story", ["size=1m"]), load_recipe("story", ["size=10m"])
    assert tokens(large) > 2 * tokens(small)
    assert stories(large) > 2 * stories(small)
    assert parameters(large.model).total > 5 * parameters(small.model).total


def test_a_time_ends_the_run_by_the_clock_and_chooses_the_size() -> None:
    short, long = load_recipe("story", ["budget=3m"]), load_recipe("story", ["budget=2d"])
    assert (short.train.seconds, short.train.steps) == (180, None)
    assert (long.train.seconds, long.name) == (2 * 86400, "story-in-2d")
    assert parameters(long.model).total > parameters(short.model).total


def test_both_are_kept_and_other_overrides_win() -> None:
    recipe = load_recipe("story", ["size=3m", "budget=10m", "train.batch_tokens=1024", "model.n_layers=2"])
    assert (recipe.model.style, recipe.train.seconds, recipe.name) == ("story_2m", 600, "story-3m-in-10m")
    assert (recipe.train.batch_tokens, recipe.model.n_layers) == (1024, 2)


def test_text_of_ones_own_stays_and_sets_the_vocabulary_and_the_epochs(tmp_path: Path) -> None:
    text = tmp_path / "own.txt"
    text.write_text("A dog ran to the park and sat down.\n\n" * 20_000)
    recipe = load_recipe("story", ["size=1m"], data=[str(text)])
    assert recipe.data.sources[0].kind == "text"
    assert recipe.tokenizer.vocab_size == recipe.model.vocab_size == 1024
    assert tokens(recipe) <= 4 * text.stat().st_size / 3


def test_text_named_by_an_override_counts_too_and_a_storys_seed_stays(tmp_path: Path) -> None:
    text = tmp_path / "own.txt"
    text.write_text("A dog ran to the park and sat down.\n\n" * 20_000)
    recipe = load_recipe("story", ["size=1m", f"data.sources=[{{kind: text, paths: [{text}]}}]"])
    assert recipe.tokenizer.vocab_size == 1024
    other = load_recipe("story", ["size=1m"], changes={"data": {"sources": [{"kind": "story", "seed": 7}]}})
    (source,) = other.data.sources
    assert isinstance(source, Stories)
    assert source.seed == 7


def test_init_and_the_dial_choose_the_same(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(beginning, "training_speed", dial.training_speed)
    beginning.begin(tmp_path / "own.yaml", seconds=1800, notify=lambda text: None)
    own, turned = load_recipe(tmp_path / "own.yaml"), load_recipe("story", ["budget=30m"])
    assert own.model == turned.model
    assert own.data == turned.data
    assert own.train.model_copy(update={"epochs": None, "least_steps": None}) == turned.train.model_copy(
        update={"epochs": None, "least_steps": None}
    )


def test_the_objective_stays() -> None:
    assert load_recipe("story-reversed", ["size=2m"]).objective.kind == "reversed"


@pytest.mark.parametrize(
    ("assignments", "printed"),
    [
        (["size=huge"], "not a number of parameters"),
        (["size=0"], "not a number of parameters"),
        (["size=1k"], "no named size is near"),
        (["size=90b"], "no named size is near"),
        (["budget=soon"], "not a length of time"),
        (["budget=1s"], "only"),
        (["size=1m", "size=2m"], "twice"),
    ],
)
def test_what_makes_no_sense_is_refused(assignments: list[str], printed: str) -> None:
    with pytest.raises(ConfigError, match=printed):
        load_recipe("story", assignments)


def test_the_dial_has_the_rates_of_the_recipe_that_it_was_fitted_to() -> None:
    recipe, chosen = load_recipe("story").train, load_recipe("story-reversed", ["size=1m"]).train
    assert chosen.optimizer == recipe.optimizer
    assert chosen.schedule == recipe.schedule
