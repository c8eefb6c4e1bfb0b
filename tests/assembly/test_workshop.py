"""The parts of a real run that an objective may use: a reference by the name of its run, and an engine on the live
weights."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from pydantic import Field
from safetensors.torch import load_file
from torch import nn

from lilliput import api
from lilliput.base.errors import CheckpointError
from lilliput.decoding.engine import Engine, Request
from lilliput.decoding.sampling import SamplingConfig
from lilliput.generation.run import Run
from lilliput.model.heads import Head
from lilliput.objectives.batch import Batch, Loss
from lilliput.objectives.causal import Causal, NextToken, NextTokenConfig
from lilliput.objectives.objective import OBJECTIVES, Objective
from lilliput.objectives.workshop import Reference, Workshop
from tests.cli.conftest import TINY, write_tales

SETTINGS = [
    *TINY,
    "train.steps=4",
    "evaluate.steps=4",
    "train.precision=fp32",
    "evaluate.baselines=[]",
    "evaluate.samples=0",
]
PROMPT, NEW = 4, 6


@dataclass
class Seen:
    """What one `prepare` saw. `gap`: between the engine's log-probabilities and those of the model in training."""

    gap: float
    apart: float
    training: bool
    gradient: bool
    texts: list[list[int]]


class RolledOut(NextToken):
    """Learns texts that the live weights generate, and stays near a reference; a value head is trained beside."""

    config: "Rollout"

    def __init__(self, config: "Rollout", workshop: Workshop):
        super().__init__(config, workshop)
        self.reference = workshop.load(config.reference)
        self.value = Head(workshop.model.config, 1, seed=workshop.seed)
        self.seen: list[Seen] = []
        BUILT.append(self)

    def modules(self) -> dict[str, nn.Module]:
        return {"value": self.value}

    def prepare(self, batch: Batch) -> Batch:
        rows = [row[:PROMPT] for row in batch.tokens.tolist()]
        texts, scores = generated(self.workshop.engine(len(rows)), rows)
        tokens = torch.tensor(texts)
        own, kept = (log_probabilities(model, tokens) for model in (self.model, self.reference.model))
        gap, apart = ((own - other)[:, PROMPT - 1 :].abs().max().item() for other in (scores, kept))
        self.seen.append(Seen(gap, apart, self.model.training, torch.is_grad_enabled(), texts))
        learned = torch.ones(len(rows), PROMPT + NEW - 1)
        return Batch(tokens[:, :-1], tokens[:, 1:], learned, kept=kept)

    def loss(self, batch: Batch) -> Loss:
        hidden = self.view(batch.tokens)
        far = (log_probabilities(self.view, torch.cat([batch.tokens, batch.targets[:, -1:]], 1)) - batch.kept).square()
        total = (
            self.view.loss(hidden, batch.targets, batch.weights) + far.sum() + self.value.values(hidden).square().sum()
        )
        return Loss(total)


class Rollout(NextTokenConfig):
    """See RolledOut."""

    kind: Literal["rollout"] = "rollout"
    reference: str = Field(description="the run that the model stays near")

    def build(self, workshop: Workshop) -> Objective:
        return RolledOut(self, workshop)


BUILT: list[RolledOut] = []


def generated(engine: Engine, prompts: list[list[int]]) -> tuple[list[list[int]], torch.Tensor]:
    """Each prompt with NEW tokens, and the engine's log-probabilities, (R, PROMPT + NEW - 1), 0 in the prompt."""
    sampling = SamplingConfig(max_tokens=NEW, seed=5)
    jobs = [engine.submit(Request(tuple(row), sampling, sample=number)) for number, row in enumerate(prompts)]
    texts, scores = {job: [*job.request.prompt] for job in jobs}, {job: [0.0] * (PROMPT - 1) for job in jobs}
    while not engine.idle:
        for job, token in engine.step():
            assert token.id is not None
            texts[job].append(token.id)
            scores[job].append(token.log_probability)
    return [texts[job] for job in jobs], torch.tensor([scores[job] for job in jobs])


def log_probabilities(model: Any, tokens: torch.Tensor) -> torch.Tensor:
    """tokens (R, T) -> log p of each after the first, (R, T - 1)."""
    logits = model.logits(model(tokens[:, :-1])).log_softmax(-1)
    return logits.gather(-1, tokens[:, 1:, None])[..., 0]


@pytest.fixture
def train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    list(OBJECTIVES)
    monkeypatch.setitem(OBJECTIVES._entries, "rollout", Rollout)
    monkeypatch.chdir(tmp_path)
    write_tales(tmp_path / "tales.txt")

    def run(name: str, *overrides: str) -> Run:
        quiet: dict[str, Any] = {"live": False, "notify": lambda text: None}
        return api.train("story", [*SETTINGS, *overrides], data="tales.txt", name=name, **quiet)

    yield run
    BUILT.clear()


def weights(run: Run) -> dict[str, torch.Tensor]:
    return dict(run.text_generator.model.state_dict())


def is_frozen(reference: Reference, run: Run) -> bool:
    """Whether the reference is the run's trained model, in evaluation mode and without gradient."""
    model, trained = reference.model, weights(run)
    same = all(torch.equal(tensor, trained[name]) for name, tensor in model.state_dict().items())
    return same and not model.training and not any(weight.requires_grad for weight in model.parameters())


def test_a_reference_by_name_and_an_engine_on_the_live_weights(train: Any) -> None:
    base = train("base")
    tuned = train("tuned", "objective={kind: rollout, reference: base}", "seed=1")
    (at_work,) = BUILT
    assert len(at_work.seen) == tuned.metrics[-1]["step"] == 4
    assert is_frozen(at_work.reference, base)
    assert at_work.reference.objective == Causal()
    assert at_work.reference.tokenizer.sha256 == base.text_generator.tokenizer.sha256
    assert at_work.reference.modules == {}
    for seen in at_work.seen:
        assert seen.gap < 1e-4
        assert seen.apart > 1e-3
        assert not seen.training
        assert not seen.gradient
    assert at_work.seen[0].texts != at_work.seen[-1].texts

    train("again", "objective={kind: rollout, reference: tuned}")
    reference = BUILT[-1].reference
    assert is_frozen(reference, tuned)
    assert reference.objective == Rollout(reference="base")
    (stored,) = Path("runs/tuned/checkpoints").glob("step-*4/trainer/objective.safetensors")
    assert reference.modules.keys() == {"value.score.weight"}
    assert torch.equal(reference.modules["value.score.weight"], load_file(stored)["value.score.weight"])
    assert torch.equal(reference.modules["value.score.weight"], at_work.value.score.weight)


def test_a_reference_that_is_not_there_ends_the_run_before_it_begins(train: Any) -> None:
    with pytest.raises(CheckpointError, match="there is no run or model folder 'bass'"):
        train("tuned", "objective={kind: rollout, reference: bass}")
    assert not Path("runs/tuned/metrics.jsonl").exists()
