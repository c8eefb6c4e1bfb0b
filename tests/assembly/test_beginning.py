"""A run that begins with a trained model: its shape, tokenizer and weights, what is refused, and a resume."""

import shutil
from pathlib import Path

import pytest
import torch
import yaml

from lilliput.assembly.assembly import Assembly
from lilliput.assembly.recipe import Recipe, load
from lilliput.base.errors import CheckpointError, ConfigError
from lilliput.base.files import sha256
from lilliput.data.tokenizer import Tokenizer
from lilliput.model.config import ModelConfig
from lilliput.model.huggingface import from_huggingface, to_huggingface
from lilliput.model.transformer import Model
from lilliput.runs.run_folder import RunFolder
from tests.assembly.conftest import SHORT, StopAt


def weights(run: Path) -> dict[str, torch.Tensor]:
    folder = RunFolder(run)
    return dict(from_huggingface(folder.checkpoint(folder.steps()[-1]) / "model").state_dict())


def newest(run: Path) -> Path:
    folder = RunFolder(run)
    return folder.checkpoint(folder.steps()[-1]) / "model"


def test_the_run_begins_with_the_weights_of_the_other(begin, source: Path):
    lines: list[str] = []
    run = begin("train.schedule.warmup_steps=0", "train.optimizer.learning_rate=1e-12", notify=lines.append)
    for name, tensor in weights(run.path).items():
        assert (tensor - weights(source)[name]).abs().max() < 1e-6, name
    assert run.summary["init"] == {
        "from": str(newest(source)),
        "sha256": sha256(newest(source) / "model.safetensors"),
    }
    assert f"weights from {newest(source)}" in lines
    assert Tokenizer.load(newest(run.path)).sha256 == Tokenizer.load(newest(source)).sha256


def test_the_recipe_of_the_run_is_whole_and_repeats_it(begin, source: Path, tmp_path: Path):
    run = begin()
    values = yaml.safe_load((run.path / "recipe.yaml").read_text())
    assert values["init"] == {"from": str(newest(source))}
    assert values["model"]["n_layers"] == 2
    assert values["model"]["d_model"] == 32
    assert values["tokenizer"]["path"] == str(newest(source))
    from lilliput import api

    again = api.train(run.path / "recipe.yaml", name="again", runs=tmp_path, live=False, notify=lambda text: None)
    assert again.summary["sha256"] == run.summary["sha256"]


def test_a_context_length_and_dropout_of_its_own(begin):
    run = begin("model.context_length=64", "model.dropout=0.25")
    config = from_huggingface(newest(run.path)).config
    assert (config.context_length, config.dropout, config.n_layers) == (64, 0.25, 2)


@pytest.mark.parametrize("override", ["model.n_layers=3", "model.style=llama", "model.qk_norm=false"])
def test_another_shape_is_refused_by_name(begin, override: str):
    with pytest.raises(ConfigError, match=override.partition("=")[0].replace(".", r"\.")):
        begin(override)


def test_a_model_with_learned_positions_keeps_its_context(tmp_path: Path):
    config = ModelConfig(
        d_model=32, n_layers=1, norm="layer", mlp="gelu_tanh", position="learned", qk_norm=False, context_length=16
    )
    to_huggingface(Model(config), tmp_path / "gpt")
    assert load("story", [f"init.from={tmp_path / 'gpt'}"]).model.context_length == 16
    with pytest.raises(ConfigError, match=r"learned 16 positions"):
        load("story", [f"init.from={tmp_path / 'gpt'}", "model.context_length=32"])


def test_the_dial_cannot_choose_the_model(source: Path):
    from lilliput.planning.dial import load_recipe

    with pytest.raises(ConfigError, match=r"init\.from"):
        load_recipe("story", ["size=5m", f"init.from={source}"])


def test_a_recipe_made_in_python_takes_the_shape_of_its_source(source: Path):
    recipe = load(Recipe.model_validate({"init": {"from": str(source)}}))
    assert (recipe.model.d_model, recipe.model.n_layers) == (32, 2)
    assert Recipe().model_dump()["init"] == {"from": None}
    assert "init" not in Recipe().differences()
    assert recipe.differences()["init"] == {"from": str(newest(source))}


def test_a_source_that_is_not_there_is_refused(begin):
    with pytest.raises(CheckpointError, match="no run or model folder 'nowhere'"):
        begin(from_="nowhere")


def test_a_resume_gives_the_same_bits_after_the_source_is_gone(begin, source: Path, tmp_path: Path):
    whole = begin(name="whole")
    begin(callbacks=(StopAt(3),))
    shutil.rmtree(source)
    from lilliput import api

    resumed = api.train(tmp_path / "next" / "recipe.yaml", runs=tmp_path, live=False, notify=lambda text: None)
    assert resumed.summary["sha256"] == whole.summary["sha256"]
    assert resumed.summary["init"] == whole.summary["init"]
    assert "gone" not in str(resumed.summary)


def test_a_run_whose_source_is_gone_before_it_trained_is_refused(begin, source: Path, tmp_path: Path):
    begin(callbacks=(StopAt(3),))
    shutil.rmtree(source)
    shutil.rmtree(tmp_path / "next" / "checkpoints")
    from lilliput import api

    with pytest.raises(CheckpointError, match=r"no run or model folder .*source"):
        api.train(tmp_path / "next" / "recipe.yaml", name="new", runs=tmp_path, live=False, notify=lambda text: None)


def assembled(source: Path, place: Path, *overrides: str, resume_from: Path | None = None) -> Assembly:
    recipe = load("story", [*SHORT, f"init.from={source}", *overrides], data=[str(place / "new.txt")])
    return Assembly(recipe, RunFolder(place / "next"), lambda text: None, resume_from=resume_from)


def test_the_initial_model_is_the_source_frozen_and_the_same_after_a_resume(begin, source: Path, tmp_path: Path):
    begin(callbacks=(StopAt(3),), name="next")
    run = RunFolder(tmp_path / "next")
    for assembly in (
        assembled(source, tmp_path),
        assembled(source, tmp_path, resume_from=run.checkpoint(3)),
    ):
        reference = assembly.learner.workshop.initial()
        there = weights(source)
        assert not reference.model.training
        assert not any(parameter.requires_grad for parameter in reference.model.parameters())
        assert all(torch.equal(tensor, there[name]) for name, tensor in reference.model.state_dict().items())
        assert reference.tokenizer is assembly.tokenizer
        assert reference.model is not assembly.model


def test_the_initial_model_is_refused_where_its_weights_changed(begin, source: Path, tmp_path: Path):
    assembly = assembled_after(begin, source, tmp_path)
    model = from_huggingface(newest(source))
    with torch.no_grad():
        model.embed.weight.add_(1)
    to_huggingface(model, tmp_path / "other")
    shutil.rmtree(source)
    source.mkdir()
    with pytest.raises(ConfigError, match="put it back"):
        assembly.beginning.initial()
    (newest_was := Path(assembly.recipe.init.from_ or "")).parent.mkdir(parents=True)
    shutil.copytree(tmp_path / "other", newest_was)
    with pytest.raises(ConfigError, match="holds other weights now"):
        assembly.beginning.initial()


def assembled_after(begin, source: Path, place: Path) -> Assembly:
    return assembled(source, place)


def test_a_run_of_new_weights_has_no_initial_model(tmp_path: Path, begin):
    assembly = Assembly(
        load(
            "story",
            [*SHORT, "model.style=null", "model.d_model=32", "tokenizer.vocab_size=320"],
            data=[str(tmp_path / "new.txt")],
        ),
        RunFolder(tmp_path / "fresh"),
        lambda text: None,
    )
    with pytest.raises(ConfigError, match="begins with new weights"):
        assembly.learner.workshop.initial()


def test_a_vocabulary_that_grows_gets_new_rows(begin, source: Path, tmp_path: Path):
    """A tokenizer with one more special token, as an objective that equips it gives."""
    import json

    folder = Path(shutil.copytree(newest(source), tmp_path / "equipped"))
    spec = json.loads((folder / "tokenizer.json").read_text())
    old = Tokenizer.load(newest(source)).vocab_size
    token = {"content": "<|tool|>", "special": True, "normalized": False, "lstrip": False, "rstrip": False}
    spec["added_tokens"].append({**token, "id": old, "single_word": False})
    (folder / "tokenizer.json").write_text(json.dumps(spec))
    lines: list[str] = []
    run = begin(f"tokenizer.path={folder}", "train.optimizer.learning_rate=1e-12", notify=lines.append)
    assert any(f"the vocabulary grows from {old} to {old + 1} tokens" in line for line in lines)
    there, found = weights(source), weights(run.path)
    for name in ("embed.weight", "unembed.weight"):
        assert len(found[name]) == old + 1
        assert (found[name][:old] - there[name]).abs().max() < 1e-6
        assert (found[name][old] - there[name].mean(0)).abs().max() < there[name].std()
    again = begin(f"tokenizer.path={folder}", "train.optimizer.learning_rate=1e-12", name="again")
    assert again.summary["sha256"] == run.summary["sha256"]


def test_a_model_with_more_rows_than_tokens_keeps_them(begin, source: Path, tmp_path: Path):
    from lilliput.model.resize import resized

    model = from_huggingface(newest(source))
    wide = resized(model, model.config.model_copy(update={"vocab_size": 384}), seed=1)
    folder = tmp_path / "wide"
    to_huggingface(wide, folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(newest(source) / name, folder / name)
    run = begin(from_=folder)
    assert len(weights(run.path)["embed.weight"]) == 384
