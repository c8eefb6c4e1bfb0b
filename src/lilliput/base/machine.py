"""This machine: usable cores and memory, the device, the measured peak of matrix products, the precision."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from lilliput.base.errors import ConfigError
from lilliput.base.undisturbed import Peak, kept_peak, timed

if TYPE_CHECKING:
    import torch

PROC = Path("/proc")
SYS = Path("/sys")
BF16_GAIN = 1.3
BF16_INSTRUCTIONS = {"amx_bf16", "avx512_bf16", "bf16"}
MEASURE_SECONDS = 1.0
ACCELERATOR_NAMES = {"cuda": "CUDA", "mps": "MPS"}


# ---------------------------------------------------------------------------- processor and memory


def cores() -> int:
    """Return the logical processors that this process may use: its affinity, limited by the control group's CPU quota;
    at least 1."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _cpu_quota()
    return allowed if quota is None else max(1, min(allowed, int(quota)))


def physical_cores() -> int:
    """Return the usable cores, with hyper-threads counted once. Two threads of a core share its multiply-add units, so
    matrix products gain nothing from the second thread."""
    if not hasattr(os, "sched_getaffinity"):
        return cores()
    pairs = set()
    for number in os.sched_getaffinity(0):
        siblings = SYS / f"devices/system/cpu/cpu{number}/topology/thread_siblings_list"
        pairs.add(siblings.read_text().strip() if siblings.exists() else str(number))
    return min(cores(), len(pairs))


def memory() -> int:
    """Return the bytes of memory that this process may use: the machine's, or less where a control group sets a
    limit."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for limit in _control_group("memory", "memory.max", "memory.limit_in_bytes"):
        if limit.isdigit():
            total = min(total, int(limit))
    return total


def peak_memory(device: torch.device) -> int | None:
    """Return the most bytes that this process has held so far on `device`: PyTorch's tensors on CUDA, the whole process
    on a CPU (Linux). None where the system does not count them."""
    import torch

    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    status = PROC / "self/status"
    # getrusage is not used, because a child process starts there with its parent's peak
    found = re.search(r"^VmHWM:\s+(\d+) kB", status.read_text(), re.M) if status.exists() else None
    return int(found[1]) * 1024 if device.type == "cpu" and found else None


@cache
def cpu_name() -> str:
    """Return the processor's own name, such as 'AMD EPYC 7763 64-Core Processor'."""
    found = _cpuinfo().get("model name")
    if found is None and platform.system() == "Darwin":
        command = ["sysctl", "-n", "machdep.cpu.brand_string"]
        found = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return found or platform.processor() or platform.machine()


@cache
def compiler() -> str | None:
    """Return the path of the C++ compiler: $CXX, or the first found of g++, clang++ and c++; None without one."""
    named = os.environ.get("CXX")
    names = (named,) if named else ("g++", "clang++", "c++")
    return next(filter(None, map(shutil.which, names)), None)


def can_compile(device: torch.device) -> bool:
    """Return whether torch.compile can run here. It needs a C++ compiler for the CPU, and else a CUDA device."""
    return compiler() is not None if device.type == "cpu" else device.type == "cuda"


def features() -> list[str]:
    """Return all instruction sets of the processor, by Linux's names; empty where unknown."""
    return (_cpuinfo().get("flags") or _cpuinfo().get("Features") or "").split()


def instructions() -> list[str]:
    """Return the processor's instruction sets that decide the speed of matrix products; empty where unknown."""
    flags = set(features())
    return [name for name in ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "sve", "bf16") if name in flags]


@cache
def _cpuinfo() -> dict[str, str]:
    """Return the first processor's block of /proc/cpuinfo; empty without this file."""
    path = PROC / "cpuinfo"
    if not path.exists():
        return {}
    block = path.read_text(errors="replace").split("\n\n", 1)[0]
    pairs = (line.split(":", 1) for line in block.splitlines() if ":" in line)
    return {key.strip(): value.strip() for key, value in pairs}


def _cpu_quota() -> float | None:
    """Return the processors' worth of time that the control group grants, or None without a limit."""
    quotas = []
    for text in _control_group("cpu", "cpu.max", "cpu.cfs_quota_us"):
        quota, _, period = text.partition(" ")
        if quota.isdigit():
            quotas.append(int(quota) / int(period or 100_000))
    return min(quotas, default=None)


def _control_group(controller: str, unified: str, legacy: str) -> Iterator[str]:
    """Yield the text of a limit's file in every control group from this process's own up to the root, versions 2 and
    1."""
    membership = PROC / "self/cgroup"
    if not membership.exists():
        return
    for line in membership.read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            root, name = SYS / "fs/cgroup", unified
        elif controller in controllers.split(","):
            root, name = SYS / "fs/cgroup" / controller, legacy
        else:
            continue
        group = Path(path.lstrip("/"))
        for folder in (group, *group.parents):
            if (root / folder / name).exists():
                yield (root / folder / name).read_text().strip()


# ---------------------------------------------------------------------------- device


def allow_tf32(device: torch.device) -> None:
    """Let float32 products on a GPU round their inputs to TF32's 10 bits. Products that stay in fp32 beside bf16 (the
    optimiser's) are then several times as fast on tensor cores."""
    import torch

    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")


def devices() -> list[str]:
    """Return the devices that torch can compute on here, best first; 'cpu' is always the last."""
    import torch

    found = [f"cuda:{index}" for index in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    if torch.backends.mps.is_available():
        found.append("mps")
    return [*found, "cpu"]


def choose_device(asked: str = "auto") -> torch.device:
    """Return the device to compute on: the best device for 'auto', else the named device ('cpu', 'cuda', 'cuda:1',
    'mps').

    Raises ConfigError with the known devices when that device is not here."""
    import torch

    here = devices()
    if asked == "auto":
        return torch.device(here[0])
    wanted = "cuda:0" if asked == "cuda" else asked
    if wanted in here:
        return torch.device(wanted)
    kind = asked.partition(":")[0]
    reason = (
        f"this torch ({torch.__version__}) finds no such {ACCELERATOR_NAMES[kind]} device"
        if kind in ACCELERATOR_NAMES
        else "it is not one of auto, cpu, cuda, cuda:N, mps"
    )
    raise ConfigError(f"device '{asked}' cannot be used: {reason}", f"here there is: {', '.join(here)}")


def device_name(device: torch.device) -> str:
    """Return the device's own name: the processor's, or the accelerator's."""
    import torch

    return torch.cuda.get_device_name(device) if device.type == "cuda" else cpu_name()


# ---------------------------------------------------------------------------- matmul peak and precision


def matmul_peak(
    device: torch.device, dtype: torch.dtype | None = None, threads: int | None = None, *, refresh: bool = False
) -> float:
    """Return the FLOP/s of the fastest square matrix product (n, n) x (n, n) here, at 2 n^3 FLOPs; 0.0 where the dtype
    is not supported (see `measured_peak`)."""
    return measured_peak(device, dtype, threads, refresh=refresh).rate


def measured_peak(
    device: torch.device, dtype: torch.dtype | None = None, threads: int | None = None, *, refresh: bool = False
) -> Peak:
    """Return the best rate ever measured, which is kept in the cache folder.

    A measurement takes about a second. It is repeated with `refresh`, after a month, and where other processes
    disturbed the kept measurement. `dtype` is float32 and `threads` torch's present number, unless given."""
    import torch

    dtype = dtype or torch.float32
    threads = threads or torch.get_num_threads()
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        # an accelerator's product does not wait for processors, so other processes do not disturb it
        return kept_peak(
            "-".join(peak_key(device, dtype, threads)),
            lambda: _measure_peak(device, dtype),
            waits=device.type == "cpu",
            refresh=refresh,
        )
    finally:
        torch.set_num_threads(before)


def peak_key(device: torch.device, dtype: torch.dtype, threads: int) -> tuple[str, ...]:
    """Return the values on which a measured peak depends. Virtual machines hide the processor's generation behind the
    same name ('AMD EPYC'), so family and model are included, and whether float32 products may round to TF32."""
    import torch

    info = _cpuinfo()
    cpu = (cpu_name(), info.get("cpu family", ""), info.get("model", ""), f"{threads}of{cores()}")
    cuda = (device_name(device), str(torch.backends.cuda.matmul.fp32_precision)) if device.type == "cuda" else ()
    return (*(cuda or cpu), device.type, str(dtype).removeprefix("torch."), torch.__version__)


def _measure_peak(device: torch.device, dtype: torch.dtype) -> tuple[float, float]:
    """Return the best rate over repeats and sizes, and the share of the processors that the best product had.

    A small probe comes first, because some processors emulate bf16 at a hundredth of fp32's speed. A size is not tried
    where a single product would not fit into the time left."""
    try:
        probe = _product(device, dtype, 256)
        best = max(timed(probe, 2 * 256**3) for _ in range(3))
    except RuntimeError:
        return 0.0, 1.0  # torch has no product of this dtype on this device
    sizes = (1024, 2048) if device.type == "cpu" else (2048, 4096, 8192)
    seconds = MEASURE_SECONDS / len(sizes)
    for size in sizes:
        flops = 2 * size**3
        if 2 * flops / best[0] > seconds:
            break
        product = _product(device, dtype, size)
        deadline = perf_counter() + seconds
        while perf_counter() < deadline:
            best = max(best, timed(product, flops))
    return best


def _product(device: torch.device, dtype: torch.dtype, size: int) -> Callable[[], float]:
    """Return a function that multiplies two (size, size) matrices and returns the seconds; warmed up."""
    import torch

    generator = torch.Generator().manual_seed(0)
    left, right = (torch.randn(size, size, generator=generator).to(device, dtype) for _ in range(2))
    out = torch.empty_like(left)
    repeats = 1 if device.type == "cpu" else 8  # several: launch and wait hardly count then

    def product() -> float:
        _wait(device)
        began = perf_counter()
        for _ in range(repeats):
            torch.mm(left, right, out=out)
        _wait(device)
        return max(perf_counter() - began, 1e-9) / repeats

    product()
    return product


def _wait(device: torch.device) -> None:
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


@dataclass(frozen=True, slots=True)
class Choice:
    """The chosen dtype, and a sentence with the reason."""

    dtype: torch.dtype
    reason: str

    @property
    def name(self) -> str:
        """Return 'fp32' or 'bf16', the value of `train.precision`."""
        return {"torch.float32": "fp32", "torch.bfloat16": "bf16"}[str(self.dtype)]


def choose_precision(asked: str, device: torch.device, threads: int | None = None) -> Choice:
    """Choose the dtype of the run's matrix products for `asked` = 'auto', 'fp32' or 'bf16'.

    'auto' measures both and chooses bf16 only where it is at least 1.3 times as fast; a smaller gain does not pay for
    bf16's rounding and casts. Where other processes disturb the measurement, the choice would be chance, so the
    processor's instructions decide. Raises ConfigError for another name."""
    import torch

    named = {"fp32": torch.float32, "bf16": torch.bfloat16}
    if asked in named:
        return Choice(named[asked], f"precision {asked}, as asked for")
    if asked != "auto":
        raise ConfigError(f"unknown precision '{asked}'", "known: auto, fp32, bf16")
    peaks = [measured_peak(device, dtype, threads) for dtype in (torch.float32, torch.bfloat16)]
    full, half = (peak.rate for peak in peaks)
    if not all(peak.undisturbed for peak in peaks):
        chosen = "bf16" if set(instructions()) & BF16_INSTRUCTIONS else "fp32"
        reason = f"precision {chosen}, by the processor's instructions: the machine is too busy to measure it"
        return Choice(named[chosen], reason)
    chosen = "bf16" if half >= BF16_GAIN * full else "fp32"
    reason = (
        f"precision {chosen}: matrix products run at {full / 1e9:,.0f} GFLOP/s in fp32 and {half / 1e9:,.0f} in bf16 "
        f"({half / full:.2f}x; bf16 is taken from {BF16_GAIN}x)"
    )
    return Choice(named[chosen], reason)
