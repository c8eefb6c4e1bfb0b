"""LitGPT's own pretraining loop (litgpt.pretrain.setup) on a file of token ids, for a number of tokens or a clock.

    litgpt_pretrain.py JOB.json FOLDER

JOB.json holds the fields of Job. FOLDER receives result.json, model.safetensors (LitGPT's names) and logits.npy (its
fp32 logits of `probe`); in a process without litgpt, result.json says {"absent": "why"}. This file needs torch, NumPy,
safetensors and litgpt: it runs in an environment without Lilliput.
"""

# pyright: reportMissingImports=false

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset

PILOT_WARMUP, PILOT_ITERATIONS, PILOT_SHARE = 8, 16, 0.05
MAX_WARMUP_STEPS, WARMUP_SHARE = 1000, 0.1


@dataclass(frozen=True)
class Job:
    """The job of one training run.

    model       the shape: the fields of Lilliput's ModelConfig
    tokens      path of a .npy file with the ids of all training documents, end to end
    probe       path of a .npy file of windows (rows, context), whose logits are wanted
    batch_tokens, micro_rows   tokens of an optimiser step; rows of one pass
    seconds, max_tokens        the budget, one of them: seconds of training after compilation, or tokens
    adamw       learning rate, betas and weight decay, as torch.optim.AdamW names them; cosine to 0
    """

    model: dict[str, Any]
    tokens: str
    probe: str
    context: int
    batch_tokens: int
    micro_rows: int
    seconds: float | None
    max_tokens: int | None
    adamw: dict[str, Any]
    clip: float
    precision: str
    threads: int
    seed: int


class Windows(IterableDataset):
    """Batches (rows, context + 1) of windows that follow each other without overlap, in a new order each epoch. `times`
    notes when each was asked for: the beginning of an iteration of LitGPT's loop, and after the last one its end."""

    def __init__(self, path: str, rows: int, length: int, seed: int):
        self.ids = np.load(path, mmap_mode="r")
        self.rows, self.length, self.seed, self.epoch = rows, length, seed, 0
        self.times: list[float] = []

    def __iter__(self):
        order = np.random.default_rng([self.seed, self.epoch]).permutation(len(self.ids) // self.length)
        self.epoch += 1
        for start in range(0, len(order) - self.rows + 1, self.rows):
            self.times.append(perf_counter())
            windows = order[start : start + self.rows, None] * self.length + np.arange(self.length)
            yield torch.from_numpy(self.ids[windows].astype(np.int64))


def plan(tokens: float, batch_tokens: int) -> tuple[int, int]:
    """(optimiser steps, warm-up steps) of a budget of tokens: at least one step; the warm-up is 1,000 steps, or a tenth
    of the run where that is less."""
    steps = max(1, round(tokens / batch_tokens))
    return steps, min(MAX_WARMUP_STEPS, int(WARMUP_SHARE * steps))


def clock(times: list[float]) -> tuple[float, float]:
    """(seconds of training, seconds of compiling) from the beginning of every iteration and the end of the last. The
    first iteration compiles: it is counted at the mean length of the others, and what it took longer is compiling."""
    first, rest = times[1] - times[0], times[-1] - times[1]
    mean = rest / (len(times) - 2) if len(times) > 2 else first
    return rest + min(first, mean), max(0.0, first - mean)


def pretrain(
    job: Job, rows: int, micro_rows: int, steps: int, warmup_steps: int
) -> tuple[list[float], dict[str, torch.Tensor]]:
    """Run litgpt.pretrain.setup for `steps` steps of `rows` rows; returns the times of Windows, and the weights."""
    import litgpt.pretrain
    from litgpt.args import EvalArgs, TrainArgs
    from litgpt.data import DataModule

    from litgpt_config import litgpt_config

    # The weights at the end are handed over as they are: its checkpoint is a pickle, and would lie on the clock.
    weights: dict[str, torch.Tensor] = {}
    litgpt.pretrain.save_checkpoint = lambda fabric, state, *_: weights.update(state["model"].state_dict())
    windows = Windows(job.tokens, micro_rows, job.context + 1, job.seed)

    class TokenFile(DataModule):
        def connect(self, tokenizer=None, batch_size=1, max_seq_length=None, **_) -> None:
            pass

        def train_dataloader(self) -> DataLoader:
            return DataLoader(windows, batch_size=None)

        def val_dataloader(self) -> DataLoader:
            # LitGPT always looks at two batches before it begins; nothing else validates inside the run.
            return DataLoader(Windows(job.tokens, micro_rows, job.context + 1, job.seed), batch_size=None)

    with tempfile.TemporaryDirectory() as scratch:
        litgpt.pretrain.setup(
            model_name="lilliput-benchmark",
            model_config=litgpt_config(job.model, job.context),
            out_dir=Path(scratch),
            precision="bf16-mixed" if job.precision == "bf16" else "32-true",
            data=TokenFile(),
            train=TrainArgs(
                save_interval=None,
                log_interval=20,
                global_batch_size=rows,
                micro_batch_size=micro_rows,
                max_tokens=steps * rows * job.context,
                max_norm=job.clip,
                min_lr=0.0,
                lr_warmup_steps=warmup_steps,
                tie_embeddings=job.model["tied_embeddings"],
            ),
            eval=EvalArgs(interval=10**9, final_validation=False),
            optimizer={"class_path": "torch.optim.AdamW", "init_args": dict(job.adamw)},
            devices=1,
            logger_name="csv",
            seed=job.seed,
        )
    return windows.times, weights


def speed(train: Callable[..., Any], rows: int, micro_rows: int, context: int, iterations: int) -> float:
    """Tokens a second over so many iterations of `micro_rows` rows, in steps of `rows`, after a few to warm up."""
    count = -(-(PILOT_WARMUP + iterations) * micro_rows // rows)
    times = train(rows=rows, steps=count, warmup_steps=1)[0][PILOT_WARMUP:]
    return (len(times) - 1) * micro_rows * context / (times[-1] - times[0])


def run(job: Job, folder: Path) -> dict[str, Any]:
    """Train by the job. Return the result, and write the files in `folder`."""
    rows = max(1, job.batch_tokens // job.context)
    micro_rows = next(count for count in range(min(job.micro_rows, rows), 0, -1) if rows % count == 0)
    batch = rows * job.context
    train = partial(pretrain, job, micro_rows=micro_rows)
    tokens, pilot = job.max_tokens, None
    if tokens is None:
        assert job.seconds is not None
        each = min(rows // micro_rows, 4) * micro_rows  # rows of a pilot's step, which need not be 131,072 tokens
        pilot = speed(train, each, micro_rows, job.context, PILOT_ITERATIONS)
        # A machine has slow moments, and a long run should not be sized by one.
        iterations = int(PILOT_SHARE * job.seconds * pilot / (micro_rows * job.context))
        if iterations > PILOT_ITERATIONS:
            pilot = speed(train, each, micro_rows, job.context, iterations)
        tokens = pilot * job.seconds
    steps, warmup_steps = plan(tokens, batch)
    times, weights = train(rows=rows, steps=steps, warmup_steps=warmup_steps)
    keep(job, weights, folder)
    seconds, compiling = clock(times)
    return {
        "tokens": steps * batch,
        "steps": steps,
        "warmup_steps": warmup_steps,
        "seconds": seconds,
        "compile_seconds": compiling,
        "pilot_tokens_per_second": pilot,
        "versions": {name: version(name) for name in ("torch", "litgpt", "lightning")},
    }


def keep(job: Job, weights: dict[str, torch.Tensor], folder: Path) -> None:
    """Write the weights, and the logits that LitGPT's own model gives with them."""
    from litgpt.model import GPT
    from safetensors.torch import save_file

    from litgpt_config import litgpt_config

    named = {name.replace("_orig_mod.", ""): tensor.float().clone() for name, tensor in weights.items()}
    model = GPT(litgpt_config(job.model, job.context))
    model.load_state_dict(named)
    with torch.no_grad():
        np.save(folder / "logits.npy", model.eval()(torch.from_numpy(np.load(job.probe))).numpy())
    save_file(named, folder / "model.safetensors")


def main(job_file: str, folder: str) -> None:
    job = Job(**json.loads(Path(job_file).read_text()))
    torch.set_num_threads(job.threads)
    try:
        result = run(job, Path(folder))
    except ModuleNotFoundError as error:
        result = {"absent": f"{sys.executable} has no module '{error.name}'"}
    (Path(folder) / "result.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])
