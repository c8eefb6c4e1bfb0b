"""Spin: the time that OpenMP's threads wait for each other in a loop before they sleep, set before PyTorch loads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from time import sleep

from lilliput.base.runtime import switch

SPINS_ALONE = 16_000
SPINS_BESIDE_OTHERS = 1_000
"""Turns of libgomp's waiting loop. A step of a small model waits thousands of times, for microseconds each. With
threads that sleep at once, a step ran at 0.63 of its speed with 16,000 turns. Beside another busy process, waiting
threads occupy the processor that the last thread needs. 1,000 turns lose little in both cases
(docs/studies/speed.md)."""
LOAD = Path("/proc/loadavg")
LOOKS, PAUSE_SECONDS = 5, 0.002


def waiting_environment(environment: Mapping[str, str], load: Path = LOAD) -> dict[str, str]:
    """Return the variables to add to the environment. The result is empty where one of the two variables is already
    set, and under LILLIPUT_PLAIN."""
    if switch.plain() or "GOMP_SPINCOUNT" in environment or "OMP_WAIT_POLICY" in environment:
        return {}
    turns = SPINS_BESIDE_OTHERS if others_run(load) else SPINS_ALONE
    return {"GOMP_SPINCOUNT": str(turns)}


def others_run(load: Path = LOAD) -> bool:
    """Return whether another thread runs or is ready to run at each of several checks within a hundredth of a second.
    The shell that started this command, and a program that reads its output, do not run at that time. False where this
    is unknown."""
    for look in range(LOOKS):
        sleep(PAUSE_SECONDS if look else 0)
        try:
            running = load.read_text().split()[3].split("/")[0]
        except (OSError, IndexError):
            return False
        if int(running) <= 1:
            return False
    return True


def waiting(environment: Mapping[str, str]) -> str:
    """Describe how threads wait."""
    if "GOMP_SPINCOUNT" in environment:
        return f"{environment['GOMP_SPINCOUNT']} turns of a loop, then asleep (GOMP_SPINCOUNT)"
    policy = environment.get("OMP_WAIT_POLICY", "").lower()
    return {"passive": "asleep", "active": "in a loop"}.get(policy, "as OpenMP does") + " (OMP_WAIT_POLICY)"
