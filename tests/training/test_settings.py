"""What a run chooses for its machine: as many rows as fit, and compiling only where it repays."""

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
        said: list[str] = []
        monkeypatch.setattr(settings, "can_compile", lambda device: compiler)
        monkeypatch.setattr(settings, "_eager_seconds", lambda *_: 1.0)
        config = TrainConfig(steps=steps, precision="fp32", threads=1, batch_tokens=128, **options)
        budget = Budget(steps, seconds)
        return settings.choose(config, MODEL, Hungry(), lambda: BATCH, budget, said.append), said

    return made


def test_a_run_too_short_to_repay_compiling_stays_eager(choose):
    assert not choose(steps=200)[0].compile
    assert choose(steps=400)[0].compile
    assert not choose(steps=400, seconds=100.0)[0].compile


def test_compiling_as_asked_for(choose):
    assert choose(steps=1, compile=True)[0].compile
    assert not choose(steps=10**6, compile=False)[0].compile
    chosen, said = choose(compile=True, compiler=False)
    assert not chosen.compile
    assert any("no compiler" in line for line in said)


def test_a_pass_holds_what_is_asked_for_and_no_more_than_the_batch(choose):
    assert choose()[0].micro_batch_rows == 16
    assert choose(micro_batch_tokens=24)[0].micro_batch_rows == 3
