"""What a run chooses for its machine: as many rows as fit, and compiling only where it repays."""

from dataclasses import asdict, fields, replace
from typing import Any, cast

import pytest
import torch

from lilliput.base.errors import TrainingError
from lilliput.model.config import ModelConfig
from lilliput.model.transformer import Model
from lilliput.objectives.batch import Batch, Loss
from lilliput.objectives.causal import Causal, NextToken
from lilliput.objectives.workshop import Workshop
from lilliput.training import settings
from lilliput.training.config import TrainConfig
from lilliput.training.schedule import Budget
from lilliput.training.settings import Settings

SHAPE = ModelConfig(d_model=16, n_layers=1, n_heads=2, d_mlp=16, vocab_size=16, context_length=8)
MODEL = Model(SHAPE)
IDS = torch.ones(16, 8, dtype=torch.int64)
BATCH = Batch(IDS, IDS, torch.ones(16, 8))


class Hungry(NextToken):
    """Runs out of memory with more than `most` rows a pass."""

    def __init__(self, most: int = 4):
        super().__init__(Causal(), Workshop(cast(Any, None), MODEL))
        self.most = most

    def loss(self, batch: Batch) -> Loss:
        if len(batch.tokens) > self.most:
            raise torch.OutOfMemoryError(f"{len(batch.tokens)} rows")
        return super().loss(batch)


def test_rows_are_halved_until_they_fit():
    found = settings._fitting(MODEL, Hungry(most=3), BATCH, Settings("fp32", False, 16, 1))
    assert found == Settings("fp32", False, 2, 1)
    assert all(p.grad is None for p in MODEL.parameters())


def test_a_model_that_fits_with_no_row_is_refused():
    with pytest.raises(TrainingError, match="not even one row of 8 tokens") as caught:
        settings._fitting(MODEL, Hungry(most=0), BATCH, Settings("fp32", False, 16, 1))
    assert "activation_checkpointing" in (caught.value.hint or "")


@pytest.fixture
def choose(monkeypatch: pytest.MonkeyPatch):
    """Chooses for a machine where an eager step takes a second."""

    def made(steps: int = 100, seconds: float | None = None, compiler: bool = True, **options: Any):
        printed: list[str] = []
        monkeypatch.setattr(settings, "can_compile", lambda device: compiler)
        monkeypatch.setattr(settings, "_eager_seconds", lambda *_: 1.0)
        config = TrainConfig(steps=steps, precision="fp32", threads=1, batch_tokens=128, **options)
        budget = Budget(steps, seconds)
        return settings.choose(config, MODEL, Hungry(), lambda: BATCH, budget, printed.append), printed

    return made


def test_a_run_too_short_to_repay_compiling_stays_eager(choose):
    assert not choose(steps=200)[0].compile
    assert choose(steps=400)[0].compile
    assert not choose(steps=400, seconds=100.0)[0].compile


def test_compiling_as_asked_for(choose):
    assert choose(steps=1, compile=True)[0].compile
    assert not choose(steps=10**6, compile=False)[0].compile
    chosen, printed = choose(compile=True, compiler=False)
    assert not chosen.compile
    assert any("no compiler" in line for line in printed)


def test_a_pass_holds_what_is_asked_for_and_no_more_than_the_batch(choose):
    assert choose()[0].micro_batch_rows == 16
    assert choose(micro_batch_tokens=24)[0].micro_batch_rows == 3


def test_rows_are_halved_for_passes_as_training_has_them():
    """Rows of 2 of the context's 8 positions: a pass of one whole row holds four of them."""
    short = Batch(IDS[:, :2], IDS[:, :2], torch.ones(16, 2))
    found = settings._fitting(MODEL, Hungry(most=4), short, Settings("fp32", False, 4, 1))
    assert found.micro_batch_rows == 1
    assert [len(part) for part in settings.passes(short, found, 8)] == [4] * 4


@pytest.mark.parametrize("sequences", [1, 2])
def test_a_pass_of_documents_holds_no_more_tokens_than_that(sequences: int, monkeypatch: pytest.MonkeyPatch):
    """A batch of documents is as long as its longest one, here 2 of 8 positions. The next batch, and prompts with their
    completions, may be as long as the context."""
    monkeypatch.setattr(settings, "can_compile", lambda device: False)
    ids = IDS[:, :2] if sequences == 1 else IDS[:, : 2 * sequences].view(16, sequences, 2)
    config = TrainConfig(steps=1, precision="fp32", threads=1, batch_tokens=128, micro_batch_tokens=32)
    batch = Batch(ids, ids)
    chosen = settings.choose(config, MODEL, Hungry(), lambda: batch, Budget(1, None), lambda line: None)
    assert chosen.micro_batch_rows * sequences * 8 == 32


def test_settings_of_earlier_versions_are_read_and_differ_in_nothing_that_is_known():
    old = settings.kept({"precision": "fp32", "compile": False, "micro_batch_rows": 4, "threads": 1})
    assert old == Settings("fp32", False, 4, 1)
    assert settings.kept({**asdict(old), "of_a_later_version": 1}) == old
    threads = torch.get_num_threads()
    now = settings.recorded(replace(old, threads=threads), torch.device("cpu"))
    assert settings.difference(replace(old, threads=threads), now) is None
    assert now.torch == torch.__version__
    assert all(getattr(now, field.name) != "" for field in fields(now))


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"kernels": "cpp-1"}, "kernels pytorch (was cpp-1)"),
        ({"products": "mkl-intel"}, "products system (was mkl-intel)"),
        ({"allocator": "tcmalloc", "torch": "2.0"}, "allocator glibc (was tcmalloc), torch 2.1 (was 2.0)"),
        ({"precision": "bf16"}, "precision fp32 (was bf16)"),
        ({"threads": 2}, "threads 1 (was 2)"),
        ({"compile": True}, "compile False (was True)"),
        ({"lilliput": "0.0.1"}, "lilliput 0.1 (was 0.0.1)"),
        ({"python": "3.10"}, "python 3.11 (was 3.10)"),
        ({"rollouts": "amx_bf16"}, "rollouts fp32 (was amx_bf16)"),
    ],
)
def test_a_resume_names_each_difference(changed: dict[str, Any], line: str):
    now = Settings("fp32", False, 4, 1, "pytorch", "system", "glibc", "2.1", "0.1", "3.11", "fp32")
    assert settings.difference(now, now) is None
    found = settings.difference(replace(now, **changed), now)
    assert found is not None
    assert found.endswith(f": {line}")
    assert "the weights will differ in their last bits" in found


def test_without_a_compiler_a_compiled_run_goes_on_eagerly(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(settings, "can_compile", lambda device: False)
    before = Settings("fp32", True, 4, torch.get_num_threads())
    now = settings.recorded(before, torch.device("cpu"))
    assert not now.compile
    assert "compile False (was True)" in (settings.difference(before, now) or "")


def test_the_instructions_of_rollouts_are_recorded_for_a_run_in_bf16(monkeypatch: pytest.MonkeyPatch):
    cpu, kept = torch.device("cpu"), Settings("bf16", False, 4, 1)
    for by, name in (("amx_bf16", "amx_bf16"), (None, "fp32")):
        monkeypatch.setattr(settings, "bf16_by", lambda by=by: by)
        assert settings.recorded(kept, cpu).runtime["rollouts"] == name
        assert settings.recorded(replace(kept, precision="fp32"), cpu).rollouts == "fp32"
