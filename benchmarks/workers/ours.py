"""Lilliput's training step: the trainer's own, on batches handed to it."""

from types import SimpleNamespace
from typing import Any, Literal, cast

import torch

from lilliput.base.runtime import allocator
from lilliput.model.config import ModelConfig
from lilliput.model.transformer import Model
from lilliput.objectives.batch import Batch
from lilliput.objectives.causal import Causal
from lilliput.objectives.from_source import FromSource
from lilliput.objectives.masked import Masked, MaskedToken
from lilliput.objectives.objective import Objective
from lilliput.objectives.text_to_text import TextToText
from lilliput.objectives.workshop import Workshop
from lilliput.training.config import OptimizerConfig, TrainConfig
from lilliput.training.settings import Settings
from lilliput.training.trainer import Trainer
from protocol import Job, Subject, given, serve


class Hidden(MaskedToken):
    """Hidden tokens that the job has chosen, so that no tokenizer is needed."""

    def __init__(self, workshop: Workshop):
        Objective.__init__(self, Masked(), workshop)


def objective_of(workshop: Workshop) -> Objective:
    """The objective that trains this model."""
    made = {
        "decoder": lambda: Causal().build(workshop),
        "encoder": lambda: Hidden(workshop),
        "encoder-decoder": lambda: FromSource(TextToText(), workshop),
    }
    return made[workshop.model.config.family]()


def batch_of(job: Job, ids: torch.Tensor) -> Batch:
    """The batch of ids (rows, context + 1)."""
    parts = {name: part.contiguous() for name, part in given(job.model, ids).items()}
    weights = parts.pop("hidden", torch.ones(parts["targets"].shape)).float()
    if "sources" in parts:
        parts["source_lengths"] = torch.full((len(ids),), parts["sources"].shape[1])
    return Batch(parts.pop("tokens"), parts.pop("targets"), weights, None, **parts)


def build(job: Job, optimizer: Literal["adamw", "muon"] = "adamw") -> Subject:
    """A trainer without a run: only its step is called, so it gets no folder, callbacks or data of its own."""
    allocator.keep()
    model = Model(ModelConfig(**job.model)).to(job.device)
    adamw = dict(job.adamw)
    settings = OptimizerConfig(kind=optimizer, learning_rate=adamw.pop("lr"), **adamw)
    trainer = Trainer(
        objective_of(Workshop(cast(Any, None), model, next(model.parameters()).device)),
        cast(Any, SimpleNamespace(context_length=job.context, row_tokens=job.context, rows_per_epoch=1)),
        TrainConfig(steps=10**9, optimizer=settings, clip=job.clip),
        run=cast(Any, None),
        settings=Settings(job.precision, job.compile, job.micro_rows, job.threads),
        seed=0,
        write_model=lambda folder: None,
        read_model=lambda folder: None,
    )

    def step(ids: torch.Tensor) -> float:
        return trainer.update(batch_of(job, ids), 1.0).loss

    return Subject(sum(p.numel() for p in model.parameters()), step, ("lilliput",))


if __name__ == "__main__":
    serve(build)
