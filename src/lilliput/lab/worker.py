"""A worker: trains each experiment in a process of its own, so that a crash does not end the worker."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import FrameType

from lilliput.base.console import SHELL_FOLDER, json_mode
from lilliput.lab.experiments import Claim, Experiments
from lilliput.lab.queue_file import Experiment, Status

TRAIN = (sys.executable, "-m", "lilliput", "train")
INTERRUPTED = 130
STANDARD_ERROR = 2
REASON_LENGTH = 300


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of an experiment. The status 'todo' means that a person interrupted it: the run is saved, and will
    resume from there."""

    experiment: Experiment
    status: Status
    exit_code: int
    reason: str | None


def work(experiments: Experiments, claim: Claim, train: Sequence[str]) -> Outcome:
    """Train the claimed experiment to its end, and write its outcome into the file.

    The command is `train CONFIG --name NAME` in the file's folder, with the entry's environment. An interrupted run
    resumes, because the same command resumes a run.

    Ctrl-C, SIGTERM and SIGHUP are passed on, so that training saves before it ends."""
    one = claim.experiment
    device = [] if one.devices == "auto" else [f"device={one.devices}"]
    command = [*train, one.config, *one.overrides, *device, "--name", one.name]
    log = experiments.error_log(one)
    with _Signals() as signals, open(log, "wb") as errors:
        process = subprocess.Popen(
            command,
            cwd=experiments.folder,
            # The paths that training prints are relative to this shell's folder.
            env={SHELL_FOLDER: os.getcwd(), **os.environ, **one.environment},
            stdout=STANDARD_ERROR if json_mode() else None,
            stderr=errors,
            # Training has its own session, so that a Ctrl-C reaches it once, from this worker. It inherits the lock, so
            # that the queue shows it as running even when this worker is killed.
            start_new_session=True,
            pass_fds=[claim.descriptor],
        )
        signals.pass_to(process)
        code = process.wait()
    text = log.read_text(encoding="utf-8", errors="replace")
    sys.stderr.write(text)
    stopped = code == INTERRUPTED or (signals.came and code != 0)
    status = "done" if code == 0 else "todo" if stopped else "failed"
    outcome = Outcome(one, status, code, _reason(code, text) if status == "failed" else None)
    experiments.finish(claim, status, code, outcome.reason)
    return outcome


def work_on(
    experiments: Experiments, name: str | None = None, count: int | None = None, train: Sequence[str] = TRAIN
) -> Iterator[Outcome]:
    """Train the experiment of that name, or one after another, at most `count`, until no experiment is left or a person
    interrupts. Yields the outcomes."""
    while (count is None or count > 0) and (claim := experiments.claim(name)):
        outcome = work(experiments, claim, train)
        yield outcome
        if outcome.status == "todo":
            return
        count = None if count is None else count - 1


def _reason(code: int, errors: str) -> str:
    """Return the error that training printed, else the last line of its output, else the signal or exit code."""
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    shown = next((line for line in reversed(lines) if line.startswith("error: ")), lines[-1] if lines else "")
    if code < 0:
        shown = f"killed by {signal.Signals(-code).name}" + (f"; {shown}" if shown else "")
    return (shown.removeprefix("error: ") or f"exit code {code}")[:REASON_LENGTH]


class _Signals:
    """A context in which Ctrl-C, SIGTERM and SIGHUP are passed on to the training process. Signals that arrive before
    the process exists are passed on when it starts."""

    CAUGHT = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def __init__(self) -> None:
        self.came: list[int] = []
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> _Signals:
        self._before = {number: signal.signal(number, self._caught) for number in self.CAUGHT}
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def pass_to(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        for number in self.came:
            _send(process, number)

    def _caught(self, number: int, frame: FrameType | None) -> None:
        self.came.append(number)
        if self._process is not None:
            _send(self._process, number)


def _send(process: subprocess.Popen[bytes], number: int) -> None:
    """Send a signal to the training process. Training handles Ctrl-C and SIGTERM, so SIGHUP (a closed terminal) is sent
    as SIGTERM."""
    process.send_signal(signal.SIGTERM if number == signal.SIGHUP else number)
