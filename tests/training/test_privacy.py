"""DP-SGD: gradients of single examples, clipped and noisy, are those of one backward pass each; the accounts resume."""

from pathlib import Path
from typing import Any, cast

import pytest
import torch
from pydantic import ValidationError

import lilliput
from lilliput.base.errors import CheckpointError, ConfigError, TrainingError
from lilliput.model.config import ModelConfig
from lilliput.model.transformer import Model
from lilliput.objectives.batch import Batch
from lilliput.objectives.causal import Causal, NextToken
from lilliput.objectives.masked import Masked
from lilliput.objectives.objective import Objective
from lilliput.objectives.workshop import Workshop
from lilliput.training.callbacks import Callback, Record
from lilliput.training.config import TrainConfig
from lilliput.training.privacy import Plan, PrivateGradients
from lilliput.training.trainer import Trainer
from tests.model.families import DECODERS, stirred

PLAN = Plan(noise=0.0, clip=0.05, delta=1e-5, rows=10, examples=100)


def objective(model: Model) -> Objective:
    return NextToken(Causal(), Workshop(cast(Any, None), model, bytes_per_target=1.0))


def examples(rows: int = 5, length: int = 12, vocabulary: int = 61) -> Batch:
    """Rows of different lengths; the rest of each is padding."""
    tokens = torch.randint(0, vocabulary, (rows, length + 1), generator=torch.Generator().manual_seed(4))
    weights = (torch.arange(length) < torch.tensor([length, 3, 7, length, 5])[:rows, None]).float()
    return Batch(tokens[:, :-1].clone(), tokens[:, 1:].clone(), weights)


def one_by_one(model: Model, batch: Batch, clip: float) -> dict[str, torch.Tensor]:
    """The sum of the clipped gradients by an ordinary backward pass for each example."""
    model.train()
    totals = {name: torch.zeros_like(each) for name, each in model.named_parameters()}
    for row in batch.split(1):
        model.zero_grad()
        (objective(model).loss(row).total / row.weights.sum()).backward()
        found = {name: each.grad for name, each in model.named_parameters() if each.grad is not None}
        norm = torch.stack([each.square().sum() for each in found.values()]).sum().sqrt()
        for name, each in found.items():
            totals[name] += each * min(1.0, clip / float(norm))
    model.zero_grad()
    return totals


def gradients(model: Model, batch: Batch, plan: Plan = PLAN, step: int = 0, seed: int = 1) -> dict[str, torch.Tensor]:
    model.train()
    PrivateGradients(objective(model), plan, seed)(batch, step)
    return {name: each.grad.clone() for name, each in model.named_parameters() if each.grad is not None}


REFUSED = ("own_batch_norm", "own_experts", "mixtral", "qwen3_moe")
"""Families that keep statistics, or whose experts choose tokens by numbers that the transforms do not see."""


@pytest.mark.parametrize("family", DECODERS)
def test_clipped_gradients_are_those_of_one_example_each(family: str) -> None:
    model, batch = stirred(family), examples()
    if family in REFUSED:
        with pytest.raises((ConfigError, TrainingError), match=r"keeps statistics|cannot be computed"):
            gradients(model, batch)
        return
    found, wanted = gradients(model, batch), one_by_one(model, batch, PLAN.clip)
    assert found.keys() == wanted.keys()
    for name, each in wanted.items():
        torch.testing.assert_close(found[name] * PLAN.rows, each, rtol=1e-4, atol=1e-6, msg=name)


@pytest.mark.parametrize("tied", [True, False])
def test_both_uses_of_tied_embeddings_count_as_one_gradient(tied: bool) -> None:
    shape = ModelConfig(d_model=32, n_layers=2, n_heads=2, n_kv_heads=1, d_mlp=48, vocab_size=61, context_length=16)
    model, batch = Model(shape.model_copy(update={"tied_embeddings": tied}), seed=2), examples()
    found, wanted = gradients(model, batch), one_by_one(model, batch, PLAN.clip)
    assert ("unembed.weight" in found) != tied
    for name, each in wanted.items():
        torch.testing.assert_close(found[name] * PLAN.rows, each, rtol=1e-4, atol=1e-6, msg=name)


def test_an_example_changes_the_sum_by_the_clipping_norm_at_most() -> None:
    model, batch = stirred("story"), examples()
    whole = gradients(model, batch)
    for left_out in range(len(batch)):
        rest = gradients(model, batch.take(torch.tensor([row for row in range(len(batch)) if row != left_out])))
        moved = torch.cat([(whole[name] - rest[name]).flatten() for name in whole]).norm() * PLAN.rows
        assert 0 < float(moved) <= PLAN.clip * 1.0001


def test_many_examples_are_computed_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    model, batch = stirred("story"), examples()
    whole = gradients(model, batch)
    monkeypatch.setattr("lilliput.training.privacy.CHUNK", 2 * sum(each.numel() for each in model.parameters()))
    for name, each in gradients(model, batch).items():
        torch.testing.assert_close(each, whole[name], rtol=1e-4, atol=1e-7)


def test_the_noise_has_its_size_and_depends_on_seed_and_step_alone() -> None:
    model, batch = stirred("story"), examples()
    plan = Plan(noise=3.0, clip=0.05, delta=1e-5, rows=10, examples=100)
    clear, noisy = gradients(model, batch), gradients(model, batch, plan, step=4)
    drawn = torch.cat([(noisy[name] - clear[name]).flatten() for name in clear])
    assert float(drawn.std()) == pytest.approx(3.0 * 0.05 / 10, rel=0.02)
    assert abs(float(drawn.mean())) < 4 * float(drawn.std()) / len(drawn) ** 0.5
    again, later = gradients(model, batch, plan, step=4), gradients(model, batch, plan, step=5)
    other = gradients(model, batch, plan, step=4, seed=2)
    for name, each in noisy.items():
        assert torch.equal(again[name], each)
        assert not torch.equal(later[name], each)
        assert not torch.equal(other[name], each)


def test_an_example_without_a_finite_gradient_counts_as_nothing() -> None:
    model, batch = stirred("story"), examples()
    whole = gradients(model, batch.take(torch.tensor([0, 1, 3, 4])))
    batch.weights[2, 0] = float("nan")
    for name, each in gradients(model, batch).items():
        torch.testing.assert_close(each, whole[name], rtol=1e-4, atol=1e-7)
    batch.weights[:, 0] = float("nan")
    with pytest.raises(TrainingError, match="no example of step 0 has a finite gradient"):
        gradients(model, batch)


def test_a_step_without_any_example_is_noise_alone() -> None:
    model, batch = stirred("story"), examples(rows=1)
    batch.weights[:] = 0
    assert all(not each.any() for each in gradients(model, batch).values())


def test_an_objective_whose_loss_is_no_sum_over_documents_is_refused() -> None:
    model = stirred("story")
    made = objective(model)
    made.config = Masked()
    with pytest.raises(ConfigError, match="'masked' has a loss that is no sum over documents"):
        PrivateGradients(made, PLAN, 1)


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ({"privacy": {"epsilon": 8, "noise": 1}}, "give one of epsilon and noise"),
        ({"privacy": {}}, "give one of epsilon and noise"),
        ({"growth": {"batch_tokens": 64}}, "growth and privacy"),
        ({"compile": True}, "not compiled"),
        ({"precision": "bf16"}, "need fp32"),
        ({"activation_checkpointing": True}, "at once"),
        ({"clip": 0.5}, "privacy.clip clips each example instead"),
        ({"seconds": 60}, "the number of steps decides the noise"),
    ],
)
def test_settings_that_do_not_go_with_privacy_are_refused(other: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        TrainConfig.model_validate({"steps": 10, "privacy": {"epsilon": 8}, **other})


TINY = (
    *("model.d_model=32", "model.n_layers=1", "model.n_heads=2", "model.d_mlp=32", "data.sources.0.stories=60"),
    *("model.context_length=256", "data.packing=auto", "train.batch_tokens=2048", "train.steps=6"),
    *("evaluate.baselines=[]", "evaluate.tokens=256", "evaluate.final_tokens=256", "evaluate.heroes=0"),
    *("evaluate.final_heroes=0", "evaluate.sample_tokens=4", "train.log_steps=1", "train.checkpoint_steps=2"),
)


class Leave(Callback):
    def on_step(self, trainer: Trainer, record: Record) -> None:
        if trainer.step == 3:
            trainer.interrupt("enough")


def begin(folder: Path, name: str, *more: str, callbacks: tuple[Callback, ...] = ()) -> Any:
    given = {"name": name, "runs": folder, "callbacks": callbacks, "notify": lambda text: None}
    return lilliput.train("story", [*TINY, *more], **given)


def test_a_run_spends_its_epsilon_and_goes_on_bit_for_bit(tmp_path: Path) -> None:
    whole = begin(tmp_path, "whole", "train.privacy={epsilon: 8}")
    spent = whole.summary["privacy"]
    assert 7.8 < spent["epsilon"] <= 8
    assert spent["steps"] == 6
    assert spent["rows"] == 8
    assert "validation split" in spent["not_covered"]
    epsilons = [line["epsilon"] for line in whole.metrics if "epsilon" in line]
    assert epsilons == sorted(epsilons)
    assert epsilons[-1] == spent["epsilon"] > 1.05 * epsilons[0] > 0
    begin(tmp_path, "part", "train.privacy={epsilon: 8}", callbacks=(Leave(),))
    rest = begin(tmp_path, "part", "train.privacy={epsilon: 8}")
    assert rest.summary["sha256"] == whole.summary["sha256"]
    assert rest.summary["privacy"] == spent
    assert whole.summary["precision"] == "fp32"


def test_a_checkpoint_of_other_accounts_is_refused() -> None:
    PLAN.check({"noise": 0.0, "clip": 0.05, "delta": 1e-5, "rows": 10, "examples": 100})
    with pytest.raises(CheckpointError, match="resume the run with its own recipe"):
        raise_with_hint(lambda: PLAN.check({"noise": 1.0, "clip": 0.05, "delta": 1e-5, "rows": 10, "examples": 100}))
    with pytest.raises(CheckpointError, match="an ordinary run"):
        PLAN.check(None)


def raise_with_hint(act: Any) -> None:
    try:
        act()
    except CheckpointError as error:
        raise CheckpointError(f"{error.message}: {error.hint}") from None


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        (("train.batch_tokens=65536",), "more than the"),
        (("train.privacy.delta=0.2",), "is published whole"),
    ],
)
def test_accounts_that_say_nothing_are_refused(tmp_path: Path, more: tuple[str, ...], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        begin(tmp_path, "run", "train.privacy={epsilon: 8}", *more)


def test_the_default_is_no_privacy() -> None:
    assert TrainConfig(steps=1).privacy is None
