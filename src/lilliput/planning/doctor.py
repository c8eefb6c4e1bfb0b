"""examine: describe this machine, the choices of a run on it, and the changes that would make it faster."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from typing import Any

import torch

from lilliput.base import machine
from lilliput.base.machine import can_compile
from lilliput.base.runtime import allocator, products, state
from lilliput.base.runtime.threads import configure_threads, counted
from lilliput.decoding.native import bf16_by
from lilliput.model import kernels

EXTRAS = {
    "data": ("datasets", "more kinds of data, and the Hugging Face hub"),
    "hf": ("transformers", "loading checkpoints' folders with transformers"),
    "track": ("tensorboard", "curves in TensorBoard, trackio or Weights & Biases"),
}
"""The extras that are suggested: a module of each extra, and its use."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The findings of `examine`.

    Rates are floating-point operations a second of the best square matrix product. `kernels` names the library of the
    matrix products, where several could be chosen. `training` names the code of a step's attention, activations and
    softmax on a CPU, and `falls_back` the parts that PyTorch computes in either case. `rollouts` names the precision
    and the instructions by which a run in bf16 generates its rollouts on a CPU. `cache` is the cache's folder, and
    `runtime` reports whether LILLIPUT_PLAIN turns all of this off. `advice` holds sentences, the most useful first."""

    machine: str
    device: str
    cores: int
    physical_cores: int
    threads: int
    memory_bytes: int
    instructions: list[str]
    fp32_flops_per_second: float
    bf16_flops_per_second: float
    precision: str
    precision_reason: str
    kernels: str | None
    training: str | None
    falls_back: str | None
    rollouts: str | None
    allocator: str
    compiler: bool
    waiting: str
    cache: str
    runtime: str | None
    torch: str
    python: str
    advice: list[str]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def examine(device: str = "auto") -> Diagnosis:
    """Measure the ceilings of `device` (about four seconds) and choose as a run would. Raises ConfigError for a device
    that this machine lacks."""
    place = machine.choose_device(device)
    threads = configure_threads()
    rates = {
        dtype: machine.matmul_peak(place, dtype, threads, refresh=True) for dtype in (torch.float32, torch.bfloat16)
    }
    words = state.words()
    choice = machine.choose_precision("auto", place, threads)
    return Diagnosis(
        machine=machine.device_name(place),
        device=str(place),
        cores=machine.cores(),
        physical_cores=machine.physical_cores(),
        threads=threads,
        memory_bytes=machine.memory(),
        instructions=machine.instructions(),
        fp32_flops_per_second=rates[torch.float32],
        bf16_flops_per_second=rates[torch.bfloat16],
        precision=choice.name,
        precision_reason=choice.reason,
        kernels=words.get("products") if place.type == "cpu" else None,
        training=kernels.state() if place.type == "cpu" else None,
        falls_back=kernels.FALLS_BACK if place.type == "cpu" else None,
        rollouts=_rollouts() if place.type == "cpu" else None,
        allocator=words["allocator"],
        compiler=can_compile(place),
        waiting=words["waiting"],
        cache=words["cache"],
        runtime=words.get("runtime"),
        torch=torch.__version__,
        python=platform.python_version(),
        advice=_advice(place, threads),
    )


def _rollouts() -> str:
    by = bf16_by()
    return f"with bf16 weights by {by}, in runs in bf16" if by else "in fp32, also in runs in bf16"


def _advice(device: torch.device, threads: int) -> list[str]:
    found = []
    if device.type == "cpu" and allocator.asked() == "auto" and not (allocator.installed() or allocator.loaded()):
        packages = " or ".join(allocator.PACKAGES.values())
        found.append(f"install a faster memory allocator (Debian, Ubuntu: apt install {packages})")
    if not can_compile(device):
        what = "matrix products, training" if products.concerned() else "training"
        found.append(f"install a C++ compiler for {what} and generating (Debian, Ubuntu: apt install g++)")
    if device.type == "cpu" and threads < machine.physical_cores():
        found.append(f"{counted(threads)} on {machine.physical_cores()} cores: unset OMP_NUM_THREADS")
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if load > 0.5 * machine.cores():
        found.append(f"the machine is busy (load {load:.1f}), so the speeds measured here may be too low")
    found += [
        f"pip install 'lilliput[{name}]' for {use}" for name, (module, use) in EXTRAS.items() if not find_spec(module)
    ]
    return found
