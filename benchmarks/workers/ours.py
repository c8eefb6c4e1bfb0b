"""Lilliput's training step: the trainer's own, on batches handed to it."""

from types import SimpleNamespace
from typing import Any, Literal, cast

import torch

from lilliput.base.runtime import allocator
from lilliput.model.config import ModelConfig
from lilliput.model.transformer import Model
from lilliput.objectives.batch import Batch
from lilliput.objectives.causal import Causal
from lilliput.objectives.workshop import Workshop
from lilliput.training.config import OptimizerConfig, TrainConfig
from lilliput.training.settings import Settings
from lilliput.training.trainer import Trainer
from protocol import Job, Subject, serve


def build(job: Job, optimizer: Literal["adamw", "muon"] = "adamw") -> Subject:
    """A trainer without a run: only its step is called, so it gets no folder, callbacks or data of its own."""
    allocator.keep()
    model = Model(ModelConfig(**job.model)).to(job.device)
    adamw = dict(job.adamw)
    settings = OptimizerConfig(kind=optimizer, learning_rate=adamw.pop("lr"), **adamw)
    trainer = Trainer(
        Causal().build(Workshop(cast(Any, None), model, next(model.parameters()).device)),
        cast(Any, SimpleNamespace(context_length=job.context, row_tokens=job.context, rows_per_epoch=1)),
        TrainConfig(steps=10**9, optimizer=settings, clip=job.clip),
        run=cast(Any, None),
        settings=Settings(job.precision, job.compile, job.micro_rows, job.threads),
        seed=0,
        write_model=lambda folder: None,
        read_model=lambda folder: None,
    )

    def step(ids: torch.Tensor) -> float:
        tokens, targets = ids[:, :-1].contiguous(), ids[:, 1:].contiguous()
        return trainer.update(Batch(tokens, targets, torch.ones(targets.shape)), 1.0).loss

    return Subject(sum(p.numel() for p in model.parameters()), step, ("lilliput",))


if __name__ == "__main__":
    serve(build)
