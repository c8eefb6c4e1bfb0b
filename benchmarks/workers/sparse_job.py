"""A worker's side of the benchmark of sparse autoencoders: the job comes in, then orders to train so many steps.

    in   {"activations": "a.npy", "width": 4096, ...}          the job, once; see SparseJob
    out  {"parameters": 2101504, "versions": {...}}            it is built, or {"absent": "why"}
    in   {"steps": 3}                                          as often as it likes
    out  {"seconds": 4.1, "loss": 0.31, "peak_bytes": ...}     CPU-seconds; the held-out variance unexplained after them

This file needs only torch and NumPy, since sae-lens lives in an environment without Lilliput.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from time import process_time
from typing import Any, Protocol

import numpy as np
import torch

HELD_OUT = 2048
"""The last activations of the file are held out."""


@dataclass(frozen=True)
class SparseJob:
    """The job of every worker, so that all workers train on the same batches.

    activations  path of a .npy file, (N, d) float32
    steps        updates of the whole training, for the step size's schedule; lr: Adam's step
    dead         share of the features that count as dead in every step; 0: only features that are dead count
    way          for workers that can be run in several ways
    """

    activations: str
    width: int
    k: int
    batch: int
    steps: int
    lr: float
    aux_weight: float
    dead_steps: int
    dead: float
    threads: int
    way: str = ""


class Trained(Protocol):
    """A sparse autoencoder in training."""

    parameters: int

    def step(self, number: int, batch: torch.Tensor) -> None:
        """Update by a batch (B, d)."""
        ...

    def reconstruct(self, activations: torch.Tensor) -> torch.Tensor:
        """(N, d) -> (N, d)."""
        ...


def batches(count: int, job: SparseJob) -> list[torch.Tensor]:
    """The places of the activations of each step."""
    draw = torch.Generator().manual_seed(0)
    return [torch.randint(0, count, (job.batch,), generator=draw) for _ in range(job.steps)]


def unexplained(trained: Trained, activations: torch.Tensor) -> float:
    """The fraction of variance unexplained."""
    with torch.no_grad():
        error = (trained.reconstruct(activations) - activations).square().sum()
    return float(error / (activations - activations.mean(0)).square().sum())


def final_unexplained(build: Callable[[SparseJob, torch.Tensor], Trained], job: SparseJob) -> float:
    """Train to the end, and return the fraction of variance unexplained of the held-out activations."""
    torch.set_num_threads(job.threads)
    activations = torch.from_numpy(np.load(job.activations))
    seen = activations[:-HELD_OUT]
    trained = build(job, seen)
    for number, places in enumerate(batches(len(seen), job)):
        trained.step(number, seen[places])
    return unexplained(trained, activations[-HELD_OUT:])


def serve(build: Callable[[SparseJob, torch.Tensor], Trained], packages: tuple[str, ...]) -> None:
    """Build the autoencoder of the job, and take the ordered steps. The output of libraries goes to standard error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(**values: Any) -> None:
        answers.write(json.dumps(values) + "\n")
        answers.flush()

    given = json.loads(sys.stdin.readline())
    given.pop("compile", None)
    job = SparseJob(**given)
    torch.set_num_threads(job.threads)
    activations = torch.from_numpy(np.load(job.activations))
    seen, held_out = activations[:-HELD_OUT], activations[-HELD_OUT:]
    try:
        trained = build(job, seen)
    except ModuleNotFoundError as error:
        answer(absent=f"{sys.executable} has no module '{error.name}'")
        return
    answer(parameters=trained.parameters, versions={name: version(name) for name in ("torch", *packages)})
    order, done = batches(len(seen), job), 0
    for line in sys.stdin:
        steps = json.loads(line)["steps"]
        began = process_time()
        for number in range(done, done + steps):
            trained.step(number, seen[order[number % len(order)]])
        seconds = process_time() - began
        done += steps
        answer(seconds=seconds, loss=unexplained(trained, held_out), peak_bytes=0)
