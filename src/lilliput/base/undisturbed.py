"""Whether a measurement was disturbed: how much of the time that its threads asked for other processes had."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import process_time

TASKS = Path("/proc/self/task")
SHARE = 0.8
KEPT_SECONDS = 30 * 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Peak:
    """A measured `rate` in FLOP/s, the `share` of the time that its threads asked for and had (1 where that is not
    known), and when, in seconds of the system's clock."""

    rate: float
    share: float
    at: float

    @property
    def undisturbed(self) -> bool:
        """Whether its threads had SHARE of the time that they asked for."""
        return self.share >= SHARE

    def stands(self, now: float) -> bool:
        """Whether it was undisturbed, and is no older than KEPT_SECONDS; what lies ahead of the clock is too old."""
        return self.undisturbed and 0 <= now - self.at <= KEPT_SECONDS


def timed(run: Callable[[], float], work: float) -> tuple[float, float]:
    """`work` a second of a `run` that returns its seconds, and the share of the processors that its threads had."""
    before, used = waited(), process_time()
    rate = work / run()
    lost, used = waited() - before, process_time() - used
    return rate, used / (used + lost) if lost > 0 else 1.0


def waited() -> float:
    """Seconds in which threads of this process could have run while other processes had the processors; 0.0 where the
    system does not count them."""
    try:
        return sum(int((task / "schedstat").read_text().split()[1]) for task in TASKS.iterdir()) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0
