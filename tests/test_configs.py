"""The TinyStories configs: each resolves, has the size it says, and the settings that docs/tiny_stories.md promises."""

import re
from pathlib import Path

import pytest

from lilliput.assembly.recipe import load
from lilliput.lab.queue_file import QueueFile
from lilliput.model.config import ModelConfig
from lilliput.model.counts import flops_per_token, parameters
from lilliput.model.transformer import Model
from lilliput.training.optim import build
from lilliput.training.schedule import Budget, factor

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = ROOT / "configs" / "tiny_stories"
FULL = sorted([*CONFIGS.glob("gpt/*.yaml"), *CONFIGS.glob("llama/*.yaml")])
SMALL = sorted(CONFIGS.glob("cpu/*/*.yaml"))


def stem(path: Path) -> str:
    return path.stem


def size(path: Path) -> int:
    return parameters(load(str(path)).model).total


def test_all_are_there() -> None:
    assert [len(FULL), len(SMALL)] == [9, 9]


@pytest.mark.parametrize("path", FULL + SMALL, ids=stem)
def test_it_has_the_parameters_it_states(path: Path) -> None:
    printed = re.match(r"# (\S+): ([\d,]+) parameters", path.read_text())
    assert printed is not None
    assert printed[1] == load(str(path)).name == path.stem
    assert int(printed[2].replace(",", "")) == size(path)


@pytest.mark.parametrize("path", [path for path in SMALL if "6L" in path.stem], ids=stem)
def test_the_count_is_that_of_the_built_model(path: Path) -> None:
    assert sum(tensor.numel() for tensor in Model(load(str(path)).model, seed=0).parameters()) == size(path)


@pytest.mark.parametrize("path", [path for path in FULL + SMALL if "matched" in path.stem], ids=stem)
def test_a_matched_gpt_is_as_large_as_its_llama_but_for_the_width(path: Path) -> None:
    shape = path.stem.removeprefix("gpt_").removesuffix("_matched")
    llama, gpt = (path.parents[1] / kind / f"{kind}_{shape}.yaml" for kind in ("llama", "gpt"))
    assert size(path) - size(llama) == load(str(path)).model.d_model
    assert size(gpt) < size(llama)


@pytest.mark.parametrize("path", FULL, ids=stem)
def test_the_settings_are_the_roadmaps(path: Path) -> None:
    recipe = load(str(path))
    train, model = recipe.train, recipe.model
    assert model.context_length == (256 if "288D" in path.stem else 512)
    assert train.batch_tokens == 512 * model.context_length
    assert train.micro_batch_tokens == 128 * model.context_length
    budget = Budget.of(train, model.context_length, rows_per_epoch=10**9)
    assert budget.steps is not None
    assert budget.steps == -(-9_700_000_000 // train.batch_tokens)
    assert [factor(train.schedule, step, 0) for step in (0, 499, 999)] == pytest.approx([0.001, 0.5, 1])
    assert factor(train.schedule, budget.steps, 1) == 0
    assert factor(train.schedule, budget.steps // 2, 0.5) == pytest.approx(0.5)
    assert (recipe.seed, train.precision, train.clip, model.vocab_size) == (42, "bf16", 1.0, 32_000)


@pytest.mark.parametrize("path", FULL + SMALL, ids=stem)
def test_the_optimiser_is_the_one_that_is_written(path: Path) -> None:
    small = ModelConfig(d_model=32, n_layers=1, vocab_size=64)
    (optimizer,) = build(Model(small, seed=0), load(str(path)).train.optimizer).optimizers
    assert type(optimizer).__name__ == "AdamW"
    assert {group["betas"] for group in optimizer.param_groups} == {(0.9, 0.95)}
    assert {group["lr"] for group in optimizer.param_groups} == {0.0005 if path in FULL else 0.002}
    decays = {
        parameter.ndim: group["weight_decay"] for group in optimizer.param_groups for parameter in group["params"]
    }
    assert decays == {2: 0.1, 1: 0.0}


def test_experiments_yaml_lists_each_once() -> None:
    experiments = QueueFile(ROOT / "experiments.yaml").experiments
    assert sorted(ROOT / one.config for one in experiments) == sorted(FULL + SMALL)
    assert all(one.name == Path(one.config).stem for one in experiments)
    assert {one.devices for one in experiments if "cpu/" in one.config} == {"cpu"}


@pytest.mark.parametrize("path", sorted((ROOT / "configs" / "studies").glob("*.yaml")), ids=stem)
def test_every_run_of_a_study_resolves(path: Path) -> None:
    queue = QueueFile(path)
    assert len(queue.experiments) >= 6
    assert {one.status for one in queue.experiments} == {"todo"}
    for one in queue.experiments:
        config = path.parent / one.config
        recipe = load(str(config) if config.is_file() else one.config, one.overrides, name=one.name)
        assert recipe.train.threads == 1
        assert (recipe.train.steps or 0) * recipe.train.batch_tokens > 100_000 or recipe.train.tokens


def test_the_vocabularies_and_contexts_are_compared_at_equal_flops() -> None:
    spent = []
    studies = ROOT / "configs" / "studies"
    for one in QueueFile(studies / "vocabulary.yaml").experiments:
        recipe = load(str(studies / one.config), one.overrides, name=one.name)
        assert recipe.train.steps is not None
        spent.append(flops_per_token(recipe.model).training * recipe.train.steps * recipe.train.batch_tokens)
    assert max(spent) / min(spent) < 1.01
