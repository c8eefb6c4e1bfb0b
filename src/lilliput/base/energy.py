"""Energy, CO2 and money of a run: measured by the processor's or the GPU's own counter where it can be read, else an
estimate that names its basis.

Defaults, all estimates:
- 12 W a busy CPU core: the Green Algorithms calculator's figure for a processor it does not know (Lannelongue, Grealey,
  Inouye 2021, doi:10.1002/advs.202100707). Processor only: no memory, disk, screen or cooling.
- 300 W a GPU: the order of a data-centre card's power limit (A100: 250 to 400 W, by NVIDIA's data sheet).
- 480 g of CO2 a kWh: the world's average grid in 2023 (Ember, Global Electricity Review 2024). Grids range from under
  50 to over 700, so give your own: `train.grams_co2_per_kwh`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from lilliput.base.errors import ConfigError

if TYPE_CHECKING:
    import torch

WATTS_PER_CORE = 12.0
WATTS_PER_GPU = 300.0
GRAMS_CO2_PER_KWH = 480.0
JOULES_PER_KWH = 3.6e6
POWERCAP = Path("/sys/class/powercap")


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of a run. `dollars` is None where no price was given. `basis` is a phrase with the source of every
    number."""

    kwh: float
    co2_grams: float
    dollars: float | None
    basis: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Energy:
    """Joules counted in `seconds`; None for a part whose counter cannot be read."""

    seconds: float
    cpu: float | None
    gpu: float | None


def estimate(
    seconds: float,
    device: torch.device | str = "cpu",
    cores: int = 1,
    *,
    energy: Energy | None = None,
    watts: float | None = None,
    dollars_per_hour: float | None = None,
    grams_co2_per_kwh: float | None = None,
) -> Cost:
    """Return the cost of `seconds` of work: from `watts` where a person gave them, else from a Meter's measurement,
    else from the defaults for `cores` busy cores and, on CUDA, one GPU. Raises ConfigError for a negative number."""
    given = {"seconds": seconds, "cores": cores, "watts": watts, "dollars_per_hour": dollars_per_hour}
    for name, value in {**given, "grams_co2_per_kwh": grams_co2_per_kwh}.items():
        if value is not None and value < 0:
            raise ConfigError(f"{name} cannot be negative (given {value})")
    joules, basis = _joules(seconds, str(device).partition(":")[0], cores, energy, watts)
    kwh = joules / JOULES_PER_KWH
    intensity = GRAMS_CO2_PER_KWH if grams_co2_per_kwh is None else grams_co2_per_kwh
    origin = "world average 2023, Ember; estimate" if grams_co2_per_kwh is None else "as given"
    basis += f"; {intensity:g} g CO2 a kWh ({origin})"
    if dollars_per_hour is None:
        return Cost(kwh, kwh * intensity, None, basis)
    basis += f"; {dollars_per_hour:g} dollars an hour (as given)"
    return Cost(kwh, kwh * intensity, dollars_per_hour * seconds / 3600, basis)


def _joules(seconds: float, device: str, cores: int, energy: Energy | None, watts: float | None) -> tuple[float, str]:
    """Return the joules of the whole run, and their source. Each part is measured where a counter can be read, and else
    estimated."""
    if watts is not None:
        return watts * seconds, f"{watts:g} W (as given)"
    energy = energy or Energy(seconds, None, None)
    # Only the last process of a resumed run was measured, so its joules are scaled up to the whole run.
    scale = seconds / energy.seconds if energy.seconds else 1.0
    if energy.cpu is not None:
        joules, parts = energy.cpu * scale, ["measured by the CPU packages' RAPL counters"]
    else:
        count = f"{cores} core{'s' * (cores != 1)}"
        joules, parts = (
            WATTS_PER_CORE * cores * seconds,
            [f"{count} x {WATTS_PER_CORE:g} W (Green Algorithms; estimate)"],
        )
    if device == "cuda" and energy.gpu is not None:
        joules += energy.gpu * scale
        parts.append("measured by the GPU's NVML counter")
    elif device == "cuda":
        joules += WATTS_PER_GPU * seconds
        parts.append(f"a GPU of {WATTS_PER_GPU:g} W (estimate; to measure it: pip install nvidia-ml-py)")
    basis = " + ".join(parts)
    if scale > 1.05 and "measured" in basis:
        basis += f" over the last {energy.seconds:.0f} of {seconds:.0f} s"
    return joules, basis


class Meter:
    """Counts energy from its construction on by this machine's own counters: CPU packages (RAPL in /sys/class/powercap)
    and, on CUDA, the GPU (NVML, through nvidia-ml-py). The counters include all processes, not only this process.

    Call `sample` at least every few minutes: a package's counter wraps round (at 262 kJ on many machines, three
    quarters of an hour at 100 W)."""

    def __init__(self, device: torch.device | str = "cpu", powercap: Path = POWERCAP):
        self._began = monotonic()
        self._cpu = 0.0
        self._packages = {path: _read(path) for path in _counters(powercap)}
        self._gpu_joules = _gpu_counter(str(device)) if str(device).startswith("cuda") else None
        self._gpu_first = self._gpu_joules() if self._gpu_joules else 0.0

    def sample(self) -> Energy:
        """Return the energy since the meter was made."""
        for path, last in self._packages.items():
            now = _read(path)
            wrap = _read(path.with_name("max_energy_range_uj")) if now < last else 0
            self._cpu += (now + wrap - last) / 1e6
            self._packages[path] = now
        return Energy(
            seconds=monotonic() - self._began,
            cpu=self._cpu if self._packages else None,
            gpu=self._gpu_joules() - self._gpu_first if self._gpu_joules else None,
        )


def _counters(powercap: Path) -> list[Path]:
    """Return the readable energy files of whole packages: 'intel-rapl:0' (AMD's too), not its parts
    'intel-rapl:0:0'."""
    found = []
    for name in sorted(powercap.glob("intel-rapl:*/name")):
        path = name.with_name("energy_uj")
        # since Linux 5.10 only root may read the counter, unless an administrator allows it
        if name.read_text().startswith("package") and os.access(path, os.R_OK):
            found.append(path)
    return found


def _read(path: Path) -> int:
    return int(path.read_text())


def _gpu_counter(device: str) -> Callable[[], float] | None:
    """Return a function that returns the GPU's joules so far (Volta and later), or None where NVML or its package is
    absent."""
    try:
        import pynvml  # pyright: ignore[reportMissingImports]
    except ModuleNotFoundError:
        return None
    import torch

    try:
        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties(device).uuid}")
        pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    except pynvml.NVMLError:
        return None
    return lambda: pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1000
