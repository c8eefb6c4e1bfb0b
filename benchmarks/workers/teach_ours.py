"""Lilliput's step of SFT, DPO or GRPO: the trainer's own, on batches handed to it."""

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import torch

from lilliput.base.runtime import allocator
from lilliput.generation.live_engines import LiveEngines
from lilliput.generation.loading import load
from lilliput.objectives.batch import Batch
from lilliput.objectives.chat import ChatConfig
from lilliput.objectives.dpo import DPO
from lilliput.objectives.grpo import Grpo
from lilliput.objectives.objective import ObjectiveConfig
from lilliput.objectives.workshop import Reference, Workshop
from lilliput.training.config import OptimizerConfig, TrainConfig
from lilliput.training.settings import MICRO_TOKENS, Settings, row_length
from lilliput.training.trainer import Trainer
from protocol import Subject, TeachingJob, serve
from teach_reward import vowels

REWARD = {"kind": "function", "path": "teach_reward:vowels"}


def objective(job: TeachingJob) -> ObjectiveConfig:
    """The objective of a stage, with its defaults."""
    if job.stage == "grpo":
        given = {"num_generations": job.each, "max_completion_length": job.new_tokens, "rewards": [REWARD]}
        return Grpo.model_validate(given)
    return DPO() if job.stage == "dpo" else ChatConfig()


def batch_of(job: TeachingJob, ids: torch.Tensor) -> Batch:
    """A batch as the loader's rows give it: ids (R, T), or (R, 2, T) for pairs, whose prompt is not learned."""
    if job.stage == "grpo":
        texts = [{"prompt": ""} for _ in ids]
        return Batch(ids, lengths=torch.full((len(ids),), ids.shape[-1]), columns=texts)
    tokens, targets = ids[..., :-1].contiguous(), ids[..., 1:].contiguous()
    weights = torch.ones(targets.shape)
    weights[..., : job.prompt - 1] = 0
    if job.stage == "sft":
        return Batch(tokens, targets, weights)
    lengths = torch.full(ids.shape[:2], tokens.shape[-1])
    keys = torch.tensor([hash(row.numpy().tobytes()) for row in ids])
    return Batch(tokens, targets, weights, lengths=lengths, keys=keys)


def build(job: TeachingJob) -> Subject:
    """A trainer without a run: only its step is called, so it gets no folder, callbacks or data of its own."""
    allocator.keep()
    loaded = load(job.model, "cpu", lambda line: None)
    model, context = loaded.model, loaded.model.config.context_length
    workshop = Workshop(
        loaded.tokenizer,
        model,
        initial=lambda: Reference(load(job.model, "cpu", lambda line: None).model, loaded.tokenizer, loaded.objective),
        engine=LiveEngines(loaded),
        ends=loaded.tokenizer.ends,
    )
    first = batch_of(job, torch.zeros(1, *_shape(job)[1:], dtype=torch.int64))
    settings = Settings(job.precision, job.compile, max(1, MICRO_TOKENS["cpu"] // row_length(first, context)), 1)
    trainer = Trainer(
        objective(job).build(workshop),
        cast(Any, SimpleNamespace(context_length=context, row_tokens=context, rows_per_epoch=1)),
        TrainConfig(steps=10**9, optimizer=OptimizerConfig(learning_rate=job.learning_rate), clip=job.clip),
        run=cast(Any, None),
        settings=settings,
        seed=0,
        write_model=lambda folder: None,
        read_model=lambda folder: None,
    )
    learner = cast(Any, trainer.objective)

    def step(ids: torch.Tensor) -> float:
        if job.stage == "dpo" and job.reference == "each_step":
            learner.reference._known.clear()
        return trainer.update(batch_of(job, ids), 1.0).loss

    subject = Subject(sum(p.numel() for p in model.parameters()), step, ("lilliput",))
    if job.stage == "grpo":
        learner.rolled_out = subject.timed("generation", learner.rolled_out)
        learner.rewarded = subject.timed("reward", learner.rewarded)
    return subject


def _shape(job: TeachingJob) -> tuple[int, ...]:
    return np.load(job.batches, mmap_mode="r").shape[1:]


if __name__ == "__main__":
    assert vowels
    serve(build, TeachingJob)
