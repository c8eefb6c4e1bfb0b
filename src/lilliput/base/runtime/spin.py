"""Spin: how long OpenMP's threads wait for each other in a loop before they fall asleep; set before PyTorch loads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from time import sleep

from lilliput.base.runtime import switch

SPINS_ALONE = 16_000
SPINS_BESIDE_OTHERS = 1_000
"""Turns of libgomp's waiting loop. A step of a small model waits thousands of times, for microseconds each: asleep at
once, it ran at 0.63 of the speed that it has at 16,000 turns. Beside another busy process those turns are taken from
the very processor that the last thread needs, and 1,000 lose little either way (docs/studies/speed.md)."""
LOAD = Path("/proc/loadavg")
LOOKS, PAUSE_SECONDS = 5, 0.002


def waiting_environment(environment: Mapping[str, str], load: Path = LOAD) -> dict[str, str]:
    """Return the variables to add to the environment: none where the person has set how threads wait, and under
    LILLIPUT_PLAIN."""
    if switch.plain() or "GOMP_SPINCOUNT" in environment or "OMP_WAIT_POLICY" in environment:
        return {}
    turns = SPINS_BESIDE_OTHERS if others_run(load) else SPINS_ALONE
    return {"GOMP_SPINCOUNT": str(turns)}


def others_run(load: Path = LOAD) -> bool:
    """Whether another thread runs or is ready to run, at each of several looks within a hundredth of a second. A shell
    that started this command, or a program that reads its output, does not run then. False where this is unknown."""
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
    """How threads wait, in words."""
    if "GOMP_SPINCOUNT" in environment:
        return f"{environment['GOMP_SPINCOUNT']} turns of a loop, then asleep (GOMP_SPINCOUNT)"
    policy = environment.get("OMP_WAIT_POLICY", "").lower()
    return {"passive": "asleep", "active": "in a loop"}.get(policy, "as OpenMP does") + " (OMP_WAIT_POLICY)"
