"""Measured speeds that are kept on disk, and the disturbance of a measurement: the share of its threads' time that
other processes took."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import process_time, time

from lilliput.base.cache import close_to_others, private_folder, usable
from lilliput.base.damage import read_sealed, write_sealed

TASKS = Path("/proc/self/task")
SHARE = 0.8
TRIES = 3
KEPT_SECONDS = 30 * 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Peak:
    """A measured `rate` in FLOP/s, with the time of the measurement in seconds of the system's clock. `share` is the
    share of the requested processor time that the threads had (1 where it is not known)."""

    rate: float
    share: float
    at: float

    @property
    def undisturbed(self) -> bool:
        """Return whether the threads had at least SHARE of the processor time that they requested."""
        return self.share >= SHARE

    def stands(self, now: float) -> bool:
        """Return whether the measurement was undisturbed and is not older than KEPT_SECONDS. A time in the future
        counts as too old."""
        return self.undisturbed and 0 <= now - self.at <= KEPT_SECONDS


def kept_peak(
    key: str, measure: Callable[[], tuple[float, float]], *, waits: bool = True, refresh: bool = False
) -> Peak:
    """The best rate ever measured under the name `key`, from the cache folder while it stands. `measure` gives a rate
    and the share of the processors that it had, which counts where its threads wait for processors (`waits`)."""
    path = private_folder("machine") / (re.sub(r"[^\w.+-]+", "_", key) + ".json")
    known = _read_peak(path)
    if known is not None and not refresh and known.stands(time()):
        return known
    peak = found = _measured(measure, waits, TRIES if known is None or not refresh else 1)
    if known is not None:
        newest = known if known.stands(time()) and not found.undisturbed else found
        peak = Peak(max(found.rate, known.rate), newest.share, newest.at)
    with suppress(OSError):  # a cache that cannot be written only means measuring again
        values = {"flops_per_second": peak.rate, "share": peak.share, "measured_at": peak.at}
        write_sealed(path, {"machine": key, **values})
        close_to_others(path)
    return peak


def _measured(measure: Callable[[], tuple[float, float]], waits: bool, most: int) -> Peak:
    """Return the best of at most `most` measurements. The first undisturbed measurement is the last."""
    tries: list[Peak] = []
    while len(tries) < most and not (tries and tries[-1].undisturbed):
        rate, share = measure()
        tries.append(Peak(rate, share if waits else 1.0, time()))
    return Peak(max(one.rate for one in tries), tries[-1].share, tries[-1].at)


def _read_peak(path: Path) -> Peak | None:
    if not usable(path):
        return None
    try:
        values = read_sealed(path)
    except (OSError, ValueError):
        return None  # a damaged file, and an earlier version's, is measured again and replaced
    return Peak(values["flops_per_second"], values["share"], values["measured_at"])


def timed(run: Callable[[], float], work: float) -> tuple[float, float]:
    """Return `work` a second of a `run` that returns its seconds, and the share of the processors that its threads
    had."""
    before, used = waited(), process_time()
    rate = work / run()
    lost, used = waited() - before, process_time() - used
    return rate, used / (used + lost) if lost > 0 else 1.0


def waited() -> float:
    """Return the seconds in which threads of this process could have run while other processes had the processors; 0.0
    where the system does not count them."""
    try:
        return sum(int((task / "schedstat").read_text().split()[1]) for task in TASKS.iterdir()) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0
