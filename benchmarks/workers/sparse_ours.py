"""Our TopK autoencoder as a worker (sparse_job.py)."""

from __future__ import annotations

import torch

from lilliput.lens.sparse import SparseConfig
from lilliput.lens.sparse_training import SparseTraining
from sparse_job import SparseJob, serve


class Ours:
    """Steps on given batches, in place of the batches that `SparseTraining` draws."""

    def __init__(self, job: SparseJob, activations: torch.Tensor):
        config = SparseConfig(
            width=job.width,
            k=job.k,
            steps=job.steps,
            batch=job.batch,
            learning_rate=job.lr,
            aux_weight=job.aux_weight,
            dead_steps=job.dead_steps,
            precision="fp32" if job.way == "fp32" else "auto",
        )
        self.run = SparseTraining(activations, activations, False, config)
        self.parameters = sum(grad.numel() for grad in self.run.grads)
        self.dead = int(job.dead * job.width)

    def step(self, number: int, batch: torch.Tensor) -> None:
        self.run.quiet[: self.dead] = self.run.config.dead_steps
        self.run.step(number, batch / self.run.scale_in, batch / self.run.scale_in)

    def reconstruct(self, activations: torch.Tensor) -> torch.Tensor:
        return self.run.coder("hook", "hook").reconstruct(activations)


if __name__ == "__main__":
    serve(Ours, ("lilliput",))
