"""TRL, as its user trains: SFTTrainer, DPOTrainer or GRPOTrainer on a folder, with their defaults and fused AdamW.

The trainer's own loop runs in a thread. It waits before each step until the benchmark asks for one, so that a step is
everything that the loop does between two steps: data, collator, rollouts, forward, backward, optimiser and logs.
"""

from __future__ import annotations

import tempfile
from threading import Semaphore, Thread
from typing import Any, cast

import numpy as np
import torch

from protocol import Subject, TeachingJob, serve
from teach_reward import vowels

STEPS = 100_000


def rows_of(job: TeachingJob, tokenizer: Any) -> list[dict[str, Any]]:
    """The rows of all batches, in the columns that each trainer has after it has tokenised them."""
    batches = np.load(job.batches)
    if job.stage == "grpo":
        rows = batches.reshape(-1, batches.shape[-1]).tolist()
        texts = [tokenizer.decode(ids, skip_special_tokens=True) for ids in rows]
        if tokenizer(texts)["input_ids"] != rows:
            raise SystemExit("transformers encodes a prompt into other tokens than Lilliput")
        return [{"prompt": text} for text in texts]
    if job.stage == "dpo":
        cut = job.prompt
        pairs = batches.reshape(-1, *batches.shape[-2:]).tolist()
        return [{"prompt_ids": one[:cut], "chosen_ids": one[cut:], "rejected_ids": two[cut:]} for one, two in pairs]
    rows = batches.reshape(-1, batches.shape[-1]).tolist()
    return [{"input_ids": ids, "completion_mask": [int(at >= job.prompt) for at in range(len(ids))]} for ids in rows]


def trainer_of(job: TeachingJob, folder: str, tokenizer: Any) -> Any:
    """The trainer of the stage. One pass holds the whole batch."""
    import datasets
    import trl

    class Given(trl.DPOTrainer):
        """Takes rows of ids, so that both sides learn the same tokens."""

        def _prepare_dataset(self, dataset: Any, *values: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
            return dataset

    shape = np.load(job.batches, mmap_mode="r").shape
    args: dict[str, Any] = {
        "output_dir": folder,
        "per_device_train_batch_size": shape[1] * (job.each if job.stage == "grpo" else 1),
        "learning_rate": job.learning_rate,
        "lr_scheduler_type": "constant",
        "max_grad_norm": job.clip,
        "weight_decay": 0.1,
        "max_steps": STEPS,
        "bf16": job.precision == "bf16",
        "gradient_checkpointing": job.checkpointing,
        "use_cpu": True,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "dataloader_pin_memory": False,
    }
    data = datasets.Dataset.from_list(rows_of(job, tokenizer))
    given: dict[str, Any] = {"model": job.model, "train_dataset": data, "processing_class": tokenizer}
    if job.stage == "sft":
        args |= {"max_length": shape[-1], "train_sampling_strategy": "sequential"}
        return trl.SFTTrainer(args=trl.SFTConfig(**args, completion_only_loss=True), **given)
    if job.stage == "dpo":
        args |= {"max_length": shape[-1], "train_sampling_strategy": "sequential"}
        return Given(args=trl.DPOConfig(**args, precompute_ref_log_probs=job.reference == "once"), **given)
    config = trl.GRPOConfig(**args, num_generations=job.each, max_completion_length=job.new_tokens)
    return trl.GRPOTrainer(args=config, reward_funcs=cast(Any, vowels), **given)


def build(job: TeachingJob) -> Subject:
    """The trainer, whose loop stands before its first step."""
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(job.model)
    folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)  # removed when the process ends
    trainer = trainer_of(job, folder.name, tokenizer)
    asked, done = Semaphore(0), Semaphore(0)
    failed: list[BaseException] = []

    class Gate(transformers.TrainerCallback):
        def on_step_begin(self, args: Any, state: Any, control: Any, **further: Any) -> None:
            done.release()
            asked.acquire()

    def run() -> None:
        torch.set_num_threads(job.threads)
        try:
            trainer.train()
        except BaseException as error:  # handed to the thread that waits
            failed.append(error)
            done.release()

    trainer.add_callback(Gate())
    Thread(target=run, daemon=True).start()

    def wait() -> None:
        done.acquire()
        if failed:
            raise SystemExit(f"TRL failed: {failed[0]!r}") from failed[0]

    def step(ids: torch.Tensor) -> float:
        assert folder.name
        asked.release()
        wait()
        return float(trainer.loss_now)

    wait()
    subject = Subject(sum(p.numel() for p in trainer.model.parameters()), step, ("trl", "transformers"))
    trainer.training_step = _noting(trainer)
    if job.stage == "grpo":
        trainer._generate = subject.timed("generation", trainer._generate)
        trainer._calculate_rewards = subject.timed("reward", trainer._calculate_rewards)
    return subject


def _noting(trainer: Any) -> Any:
    """The trainer's own step of gradients, which keeps its loss as `loss_now`."""
    inner = trainer.training_step

    def training_step(*values: Any, **named: Any) -> Any:
        trainer.loss_now = inner(*values, **named)
        return trainer.loss_now

    return training_step


if __name__ == "__main__":
    serve(build, TeachingJob)
