"""The time of each part of a training step: the trainer's own steps under PyTorch's profiler, with their operations in
groups.

One JSON object comes in (`job`: see protocol.Job; `optimizer`; `steps`), one goes out: seconds by group and in all.
"""

import json
import os
import sys
from collections import defaultdict
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile

import ours
from protocol import Job

WARM_UP = 3
PRODUCTS = ("aten::mm", "aten::addmm", "aten::bmm", "aten::baddbmm", "aten::_grouped_mm")
ATTENTION = ("lilliput::attention", "attention_for_cpu", "efficient_attention", "flash_attention", "cudnn_attention")


def group(event: Any) -> str:
    """The group of one operation, by its own name and those it was called from."""
    names = [event.name]
    while (event := event.cpu_parent) is not None:
        names.append(event.name)
    own = names[0]
    for name in names:
        if name.startswith("Optimizer.step#"):
            return f"{name.removeprefix('Optimizer.step#').removesuffix('.step')}'s step"
    if own in PRODUCTS:
        return "matrix products"
    if any(kind in own for kind in ATTENTION):
        return "attention"
    if any("linear_cross_entropy" in name for name in names):
        return "the head's softmax and loss"
    return "norms, activations, sums, copies"


def measure(job: Job, optimizer: Any, steps: int) -> dict[str, Any]:
    """Return the seconds of a step, by group. The time outside all operations is Python and the calls themselves."""
    torch.set_num_threads(job.threads)
    subject = ours.build(job, optimizer)
    batches = torch.from_numpy(np.load(job.batches))
    for number in range(WARM_UP):
        subject.step(batches[number % len(batches)])
    began = perf_counter()
    for number in range(steps):
        subject.step(batches[number % len(batches)])
    alone = (perf_counter() - began) / steps
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        began = perf_counter()
        for number in range(steps):
            subject.step(batches[number % len(batches)])
        seconds = (perf_counter() - began) / steps
    groups: dict[str, float] = defaultdict(float)
    for event in profiler.events() or ():
        groups[group(event)] += event.self_cpu_time_total / 1e6 / steps
    groups["between operations"] = seconds - sum(groups.values())
    return {"parameters": subject.parameters, "step_seconds": alone, "profiled_seconds": seconds, "groups": groups}


if __name__ == "__main__":
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    asked = json.loads(sys.stdin.readline())
    print(json.dumps(measure(Job(**asked["job"]), asked["optimizer"], asked["steps"])), file=answers, flush=True)
