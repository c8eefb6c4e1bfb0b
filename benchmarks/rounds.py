"""Interleaved rounds: each contestant is loaded once in a separate process, and the contestants take turns."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from lilliput.base.errors import LilliputError
from lilliput.base.runtime.spin import waiting_environment


def alike() -> dict[str, str]:
    """The environment that every contestant gets: this one, its threads waiting as those of `lilliput train`."""
    return {**os.environ, **waiting_environment(os.environ)}


@dataclass(frozen=True)
class Arm:
    """One contestant: which interpreter runs which worker script, what to type where it is not installed, and the
    environment variables that it gets on top."""

    name: str
    python: str
    script: Path
    install: str
    compile: bool = True
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Turn:
    """One order of steps, done: seconds for all of them, the last step's loss in nats a token, the most memory that
    the process ever held (on a GPU: that its tensors did), processor seconds, and those of parts of the steps."""

    seconds: float
    loss: float
    peak_bytes: int = 0
    cpu_seconds: float = 0.0
    parts: Mapping[str, float] = field(default_factory=dict)


class Absent(Exception):
    """An arm that cannot run here, with the command that installs it."""


class Worker:
    """The benchmark's side of a worker process (workers/protocol.py has the other). Loaded when made; `close` ends it.

    Raises Absent where the arm is not installed, LilliputError with its last words where the process ends by itself.
    """

    def __init__(self, arm: Arm, job: dict[str, Any]):
        self.arm = arm
        if not Path(arm.python).exists():
            raise Absent(f"{arm.python} does not exist; {arm.install}")
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - open as long as the process, closed with it
        self._process = subprocess.Popen(
            [arm.python, str(arm.script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env={**alike(), "OMP_NUM_THREADS": str(job["threads"]), **arm.environment},
            text=True,
        )
        try:
            ready = self._ask(job | {"compile": arm.compile})
            if "absent" in ready:
                raise Absent(f"{ready['absent']}; {arm.install}")
        except BaseException:
            self.close()
            raise
        self.parameters: int = ready["parameters"]
        self.versions: dict[str, str] = ready["versions"]

    def run(self, steps: int) -> Turn:
        """Train for `steps` more steps."""
        return Turn(**self._ask({"steps": steps}))

    def _ask(self, order: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            code = self._process.wait()
            self._log.seek(0)
            last_words = self._log.read()[-2000:]
            why = " (killed, as when memory runs out)" if code == -signal.SIGKILL else ""
            raise LilliputError(
                f"the worker '{self.arm.name}' ended with exit code {code}{why}; its last words:\n{last_words}",
                f"it was: {self.arm.python} {self.arm.script}",
            )
        return json.loads(line)

    def close(self) -> None:
        """End the process: it leaves when its input ends, and is made to if it does not."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(BrokenPipeError):  # it has ended already
            self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._log.close()


def interleave(
    workers: Sequence[Worker], rounds: int, steps: int, report: Callable[[int, Worker, Turn], None]
) -> dict[str, list[Turn]]:
    """`rounds` turns of `steps` steps for every worker. Each round starts with the next worker, so that none always
    runs on the processor that the same other has heated. `report(round, worker, turn)` is called after each turn."""
    turns: dict[str, list[Turn]] = {worker.arm.name: [] for worker in workers}
    for number in range(rounds):
        first = number % len(workers)
        for worker in (*workers[first:], *workers[:first]):
            turn = worker.run(steps)
            turns[worker.arm.name].append(turn)
            report(number, worker, turn)
    return turns


def ratio(ours: Sequence[Turn], peer: Sequence[Turn]) -> float:
    """Return the speed as a multiple of the peer's: the median over rounds of the ratio within a round, in which both
    met the same load of the machine."""
    return median(theirs.seconds / mine.seconds for mine, theirs in zip(ours, peer, strict=True))
