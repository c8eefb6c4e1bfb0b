"""A signal ends a run with everything saved: after the step in hand or, where that does not end, without it."""

import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lilliput.base import machine
from lilliput.objectives.batch import Batch, Loss
from lilliput.objectives.causal import NextToken
from lilliput.objectives.objective import ObjectiveConfig
from lilliput.objectives.workshop import Workshop
from lilliput.runs.run_folder import RunFolder
from lilliput.training import interrupt
from lilliput.training.interrupt import Interrupt
from lilliput.training.outcome import FINISHED, OutcomeKind, RunOutcome
from tests.cli.conftest import TINY, write_tales
from tests.training.test_trainer import StopAt, equal, trainer, weights

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_finishes_the_step_and_saves(tmp_path: Path, number: signal.Signals) -> None:
    before = [signal.getsignal(each) for each in (*SIGNALS, signal.SIGALRM)]
    timer = signal.setitimer(signal.ITIMER_REAL, 200)  # somebody else's
    t = trainer(tmp_path, callbacks=[StopAt(6, lambda _: os.kill(os.getpid(), number))])
    assert t.train() == RunOutcome(OutcomeKind.INTERRUPTED, f"interrupted by {number.name}")
    assert t.run.steps()[-1] == 6
    assert [signal.getsignal(each) for each in (*SIGNALS, signal.SIGALRM)] == before
    assert 100 < signal.setitimer(signal.ITIMER_REAL, *timer)[0] <= 200


class Stuck(NextToken):
    """A loss that never comes: at call number `at`, counted from 0, a signal arrives and the step does not end."""

    at = 0

    def __init__(self, config: ObjectiveConfig, workshop: Workshop):
        super().__init__(config, workshop)
        self.calls: list[int] = []

    def loss(self, batch: Batch) -> Loss:
        self.calls.append(1)
        if len(self.calls) == self.at + 1:
            os.kill(os.getpid(), signal.SIGTERM)
            deadline = time.monotonic() + 30
            while time.monotonic() < deadline:
                time.sleep(0.01)
        return super().loss(batch)


@pytest.mark.parametrize("step", [0, 6])
def test_a_step_that_does_not_end_is_given_up_and_nothing_is_lost(
    tmp_path: Path, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interrupt, "PATIENCE_SECONDS", 0.1)
    options = {"dropout": 0.1, "micro_batch_rows": 2}
    whole = trainer(tmp_path / "whole", **options)
    whole.train()
    # Two micro-batches a step: the signal comes in the second one, when there are gradients already.
    stuck = trainer(tmp_path / "run", kind=type("Stuck", (Stuck,), {"at": 2 * step + 1}), **options)
    began = time.monotonic()
    assert stuck.train() == RunOutcome(OutcomeKind.INTERRUPTED, "interrupted by SIGTERM")
    assert time.monotonic() - began < 20
    assert stuck.run.steps()[-1] == stuck.step == step
    resumed = trainer(tmp_path / "run", resume=True, **options)
    assert resumed.train() == FINISHED
    assert equal(weights(resumed), weights(whole))
    assert [record["step"] for record in resumed.run.read_metrics()] == list(range(1, 13))


def test_hangups_stay_ignored_where_they_are() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interrupt() as caught:
            os.kill(os.getpid(), signal.SIGHUP)
            assert caught.name is None
            os.kill(os.getpid(), signal.SIGTERM)
            assert caught.name == "SIGTERM"
    finally:
        signal.signal(signal.SIGHUP, before)


def _train(tales: Path, *words: str) -> list[str]:
    lilliput = [sys.executable, "-m", "lilliput", "train", "story", *TINY, "train.steps=100000", "train.log_steps=1"]
    return [*lilliput, *words, "--data", str(tales), "--name", "run"]


def _wait(until, process_ended, seconds: float = 240) -> None:  # type: ignore[no-untyped-def]
    deadline = time.monotonic() + seconds
    while not until():
        assert not process_ended(), "training ended before its time"
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.usefixtures("peaks")
def test_a_terminal_that_closes_leaves_a_saved_run(tmp_path: Path) -> None:
    run, command = RunFolder(tmp_path / "runs" / "run"), _train(write_tales(tmp_path / "tales.txt"))
    child, terminal = pty.fork()
    if not child:  # the leader of a session with this terminal
        os.chdir(tmp_path)
        os.execve(sys.executable, command, {**os.environ, "OMP_NUM_THREADS": "1", "TERM": "xterm"})
    ended: list[int] = []

    def over() -> bool:
        if not ended:
            found, status = os.waitpid(child, os.WNOHANG)
            ended.extend([os.waitstatus_to_exitcode(status)] if found else [])
        return bool(ended)

    def trained() -> bool:
        while True:  # what is printed has to be read, or printing waits
            os.set_blocking(terminal, False)
            try:
                os.read(terminal, 65536)
            except BlockingIOError:
                break
        return run.metrics.exists() and run.metrics.read_bytes().count(b"\n") > 5

    _wait(trained, over)
    os.close(terminal)
    _wait(over, lambda: False)
    assert ended == [130]
    assert run.steps()[-1] == run.read_metrics()[-1]["step"] >= 5


@pytest.mark.usefixtures("peaks")
@pytest.mark.skipif(machine.compiler() is None, reason="no C++ compiler")
def test_a_compilation_is_given_up_within_ten_seconds(tmp_path: Path) -> None:
    """The compiler takes two minutes for every file that torch.compile gives it."""
    begun, compiled = tmp_path / "begun", tmp_path / "inductor"
    slow = tmp_path / "slow-compiler"
    slow.write_text(
        f'#!/bin/sh\ncase "$*" in *{compiled}*) touch {begun}; sleep 120;; esac\nexec {machine.compiler()} "$@"\n'
    )
    slow.chmod(0o755)
    environment = {"CXX": str(slow), "TORCHINDUCTOR_CACHE_DIR": str(compiled), "OMP_NUM_THREADS": "1"}
    command = _train(write_tales(tmp_path / "tales.txt"), "train.compile=true")
    process = subprocess.Popen(
        command, cwd=tmp_path, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    run = RunFolder(tmp_path / "runs" / "run")
    _wait(begun.exists, lambda: process.poll() is not None)
    process.send_signal(signal.SIGTERM)
    asked = time.monotonic()
    _wait(run.steps, lambda: process.poll() is not None)
    assert time.monotonic() - asked < 10
    process.communicate(timeout=100)
    assert process.returncode == 130
    assert run.steps() == [0]
