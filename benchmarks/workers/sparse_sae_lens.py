"""sae-lens' TopK autoencoder as a worker (sparse_job.py), trained by its own SAETrainer."""

# pyright: reportMissingImports=false

from __future__ import annotations

import torch

from sparse_job import SparseJob, serve


class SaeLens:
    """`way` is dense (its default), sparse (use_sparse_activations) or autocast (products in bf16)."""

    def __init__(self, job: SparseJob, activations: torch.Tensor):
        from sae_lens.config import LoggingConfig, SAETrainerConfig
        from sae_lens.saes.topk_sae import TopKTrainingSAE, TopKTrainingSAEConfig
        from sae_lens.training.sae_trainer import SAETrainer

        torch.manual_seed(0)
        self.sae = TopKTrainingSAE(
            TopKTrainingSAEConfig(
                d_in=activations.shape[1],
                d_sae=job.width,
                k=job.k,
                use_sparse_activations=job.way == "sparse",
                # With sparse activations PyTorch 2.14 has no gradient of the rescaling on a CPU.
                rescale_acts_by_decoder_norm=job.way != "sparse",
                aux_loss_coefficient=job.aux_weight,
            )
        )
        # It starts b_dec at 0, and ours starts at the median; both learn it.
        self.sae.b_dec.data.copy_(activations.mean(0))
        self.parameters = sum(weight.numel() for weight in self.sae.parameters())
        config = SAETrainerConfig(
            total_training_samples=job.steps * job.batch,
            train_batch_size_samples=job.batch,
            lr=job.lr,
            lr_end=0.0,
            lr_decay_steps=job.steps // 5,
            autocast=job.way == "autocast",
            dead_feature_window=job.dead_steps,
            logger=LoggingConfig(log_to_wandb=False),
        )
        self.trainer = SAETrainer(config, self.sae, iter(()))
        self.dead = int(job.dead * job.width)

    def step(self, number: int, batch: torch.Tensor) -> None:
        self.trainer.n_forward_passes_since_fired[: self.dead] = self.trainer.cfg.dead_feature_window + 1
        self.trainer.step(batch)
        self.trainer.n_training_steps += 1

    def reconstruct(self, activations: torch.Tensor) -> torch.Tensor:
        return self.sae(activations)


if __name__ == "__main__":
    serve(SaeLens, ("sae-lens", "transformer-lens"))
