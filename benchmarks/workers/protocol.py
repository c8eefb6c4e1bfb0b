"""A worker's side of a benchmark: a job comes in, then orders to run so many steps; figures go out, one JSON a line.

    in   {"model": {...}, "rows": 16, ...}                  the job, once; see Job
    out  {"parameters": 15191712, "versions": {...}}        it is built, or {"absent": "why"}
    in   {"steps": 3}                                       as often as it likes
    out  {"seconds": 4.1, "loss": 10.38, "peak_bytes": ...} the last step's loss, in nats a token; most memory held;
                                                            processor seconds, and those of the subject's parts

Between orders a worker waits for input and computes nothing. It ends when its input does. This file needs only torch
and NumPy, since a peer may live in an environment without Lilliput.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
import torch


@dataclass(frozen=True)
class Job:
    """The job of every worker of a comparison, so that all workers do the same work.

    model       the shape: the fields of Lilliput's ModelConfig
    batches     path of a .npy file of token ids, (batches, rows, context + 1) int64; each step takes the next
    micro_rows  rows of one forward and backward pass; gradients add up over a batch's passes
    precision   'fp32', or 'bf16': matrix products in bf16 by autocast, weights and optimiser in fp32
    adamw       learning rate, betas, eps and weight decay, as torch.optim.AdamW names them
    clip        gradients are clipped to this norm
    compile     for workers that can be run both ways
    """

    model: dict[str, Any]
    batches: str
    context: int
    micro_rows: int
    precision: str
    device: str
    threads: int
    adamw: dict[str, Any]
    clip: float
    compile: bool


HIDDEN = 7
"""An encoder predicts each seventh token, about 15% of them."""


def given(model: dict[str, Any], ids: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return what a model of this shape reads and predicts of ids (rows, context + 1): `tokens` and `targets` of a
    decoder; of an encoder also `hidden`, where targets are hidden; of an encoder-decoder `sources` too, four fifths of
    the context, while the rest is what the decoder generates."""
    if model.get("encoder_layers"):
        split = (ids.shape[1] - 1) * 4 // 5
        return {"sources": ids[:, :split], "tokens": ids[:, split:-1], "targets": ids[:, split + 1 :]}
    if model.get("causal", True):
        return {"tokens": ids[:, :-1], "targets": ids[:, 1:]}
    targets = ids[:, :-1]
    places = torch.arange(targets.shape[1]) + torch.arange(len(targets))[:, None]
    hidden = places % HIDDEN == 0
    return {"tokens": targets.masked_fill(hidden, 0), "targets": targets, "hidden": hidden}


@dataclass(frozen=True)
class TellingJob:
    """The job of every worker that generates (tell_*.py).

    model       path of the model: a Hugging Face folder, or for llama.cpp a GGUF file
    weights the type of the weights, where a worker supports several: 'f32' or 'int8'
    batches     path of a .npy file of token ids, (batches, rows, prompt) int64; each step continues the next
    new_tokens number of ids that are generated after each prompt, greedily, without an end
    compile     for workers that can be run both ways
    """

    model: str
    weights: str
    batches: str
    new_tokens: int
    device: str
    threads: int
    compile: bool


@dataclass(frozen=True)
class TeachingJob:
    """The job of every worker that teaches a model (teach_*.py).

    stage       'sft', 'dpo' or 'grpo'
    model       path of a Hugging Face folder with a tokenizer
    batches     path of a .npy file of token ids: (batches, rows, T) for sft, (batches, pairs, 2, T) for dpo, chosen and
                then rejected, and (batches, prompts, prompt) for grpo
    prompt      ids of a row that are its prompt, and are not learned
    new_tokens, each    grpo: the most ids of a completion, and the completions of a prompt
    precision   'fp32', or 'bf16': matrix products in bf16 by autocast, weights and optimiser in fp32
    learning_rate, clip as torch.optim.AdamW and clip_grad_norm_ name them
    reference   dpo: log-probabilities of the reference are computed 'once' a row, or again at 'each_step'
    checkpointing       activations are computed again in the backward pass. Lilliput ignores it
    compile     for workers that can be run both ways
    """

    stage: str
    model: str
    batches: str
    prompt: int
    new_tokens: int
    each: int
    precision: str
    threads: int
    learning_rate: float
    clip: float
    reference: str
    checkpointing: bool
    compile: bool
    device: str = "cpu"


@dataclass(frozen=True)
class Subject:
    """The measured work. `step` takes a batch of ids, trains on it once (or continues it), and returns the loss (or the
    mean of the generated ids, which shows whether two workers generate the same). `parts` holds the processor seconds
    that parts of the work have taken so far, by name; `step` adds to it."""

    parameters: int
    step: Callable[[torch.Tensor], torch.Tensor | float]
    packages: tuple[str, ...]
    parts: dict[str, float] = field(default_factory=dict)

    def timed(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """Return the same function, whose processor seconds are added to `parts`."""

        def measured(*values: Any, **named: Any) -> Any:
            began = process_time()
            try:
                return call(*values, **named)
            finally:
                self.parts[name] = self.parts.get(name, 0.0) + process_time() - began

        return measured


def serve(build: Callable[[Any], Subject], kind: type[Job] | type[TellingJob] | type[TeachingJob] = Job) -> None:
    """Build the subject of the job, whose fields are those of `kind`, and run the ordered steps. The output of
    libraries goes to standard error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(**values: Any) -> None:
        answers.write(json.dumps(values) + "\n")
        answers.flush()

    job = kind(**json.loads(sys.stdin.readline()))
    torch.set_num_threads(job.threads)
    try:
        subject = build(job)
    except ModuleNotFoundError as error:
        answer(absent=f"{sys.executable} has no module '{error.name}'")
        return
    batches = torch.from_numpy(np.load(job.batches))
    answer(parameters=subject.parameters, versions={name: version(name) for name in ("torch", *subject.packages)})
    done = 0
    for line in sys.stdin:
        steps = json.loads(line)["steps"]
        loss: torch.Tensor | float = float("nan")
        before = dict(subject.parts)
        began, cpu_began = perf_counter(), process_time()
        for number in range(done, done + steps):
            loss = subject.step(batches[number % len(batches)])
        loss = float(loss)  # waits for the device
        spent = {"seconds": perf_counter() - began, "cpu_seconds": process_time() - cpu_began}
        parts = {name: total - before.get(name, 0.0) for name, total in subject.parts.items()}
        answer(**spent, loss=loss, peak_bytes=peak_bytes(job.device), parts=parts)
        done += steps


def peak_bytes(device: str) -> int:
    """The most memory this process has held: resident, or on a GPU what its tensors took; 0 where unknown."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated()
    status = Path("/proc/self/status")
    if not status.exists():
        return 0
    # Not getrusage: a child process starts there with the peak of the parent that forked it.
    return int(status.read_text().split("VmHWM:")[1].split()[0]) * 1024
