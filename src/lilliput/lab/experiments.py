"""Experiments: the queue of a file, shared by any number of workers. A lock shows that an experiment is running.

A worker and its training process hold one lock together. They take it before the entry's status becomes `running`, and
release it after the final status is written. The operating system releases the lock when both processes have ended, for
any reason. An entry with the status `running` and a free lock was therefore interrupted, and the next worker resumes
it."""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from lilliput.base.errors import ConfigError, nearest
from lilliput.lab.queue_file import Experiment, LastRun, QueueFile, Status
from lilliput.objectives.figure import Figure
from lilliput.runs.record import RunRecord, as_number
from lilliput.runs.run_folder import RunFolder

WAIT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Claim:
    """An experiment that this worker has taken. `descriptor` is the lock, which the training process inherits."""

    experiment: Experiment
    last_run: LastRun
    descriptor: int


class Experiments:
    """The queue in `path`. The locks and the training processes' error output lie in a hidden folder beside the file.
    Every method may be called while other workers use the queue."""

    def __init__(self, path: Path):
        self.path = Path(os.path.realpath(path))  # unlike resolve(), it takes links that lead to themselves
        self.folder = self.path.parent
        self.work = self.path.with_name(f".{self.path.name}.work")

    def states(self) -> list[tuple[Experiment, str]]:
        """Return every entry with its state: its status, or 'interrupted' where its status is running and no process
        holds its lock."""
        with self._file() as file:
            return [(experiment, self._state(experiment)) for experiment in file.experiments]

    def claim(self, name: str | None = None) -> Claim | None:
        """Take the first experiment that is to do or was interrupted; return None where none is left.

        With a `name`, take that experiment, also where it failed. Raises ConfigError when it is running, done or
        unknown."""
        with self._file() as file:
            if name is None:
                open_ones = (one for one in file.experiments if self._state(one) in ("todo", "interrupted"))
                chosen = next(open_ones, None)
            else:
                chosen = _named(file, name)
                self._refuse(chosen)
            return None if chosen is None else self._take(file, chosen)

    def finish(self, claim: Claim, status: Status, exit_code: int, reason: str | None) -> None:
        """Write the final status, and release the lock."""
        ended = claim.last_run.model_copy(update={"ended": _now(), "exit": exit_code, "reason": reason})
        with self._file() as file:
            try:
                file.update(claim.experiment.name, status=status, last_run=_shown(ended))
            finally:
                os.close(claim.descriptor)

    def retry(self, name: str | None = None) -> list[str]:
        """Put failed and interrupted experiments back to todo, and return their names.

        With a `name`, put only that experiment back, also where the file has it running on another machine. Raises
        ConfigError when the experiment is running here, done or unknown."""
        with self._file() as file:
            if name is None:
                chosen = [one for one in file.experiments if self._state(one) in ("failed", "interrupted")]
            else:
                chosen = [_named(file, name)]
                if not _away(chosen[0]):
                    self._refuse(chosen[0])
            for one in chosen:
                file.update(one.name, status="todo")
            return [one.name for one in chosen]

    def run_folder(self, experiment: Experiment) -> RunFolder:
        """Return the run folder of an experiment."""
        return RunFolder(self.folder / "runs" / experiment.name)

    def score(self, experiment: Experiment) -> tuple[Figure, float | None] | None:
        """Return the figure by which the experiment's run is judged, with its value on the validation split at the end;
        None where no run has finished."""
        run = self.run_folder(experiment)
        if not run.summary.is_file():
            return None
        record = RunRecord.read(run.path)
        return record.figure, as_number(record.summary.get(record.figure.validation))

    def error_log(self, experiment: Experiment) -> Path:
        """Return the file with the standard error of the experiment's training process."""
        return self.work / f"{experiment.name}.stderr"

    @contextmanager
    def _file(self) -> Iterator[QueueFile]:
        """Yield the present file, locked for this process."""
        if not self.path.is_file():
            QueueFile(self.path)  # raises for a wrong file before a folder is made beside it
        self.work.mkdir(exist_ok=True)
        try:
            with FileLock(self.work / "queue.lock", timeout=WAIT_SECONDS):
                yield QueueFile(self.path)
        except Timeout:
            raise ConfigError(f"{self.path} has been locked by another worker for {WAIT_SECONDS:.0f} s") from None

    def _state(self, experiment: Experiment) -> str:
        if _away(experiment):
            return "running"
        claim = self._claim_file(experiment)
        descriptor = _lock(claim) if claim.exists() else None
        if descriptor is not None:
            os.close(descriptor)
        elif claim.exists():
            return "running"
        return "interrupted" if experiment.status == "running" else experiment.status

    def _refuse(self, one: Experiment) -> None:
        """Raise ConfigError where the experiment cannot be started."""
        state, run = self._state(one), one.last_run
        if state == "running":
            where = f" on {run.host}, process {run.pid}, since {run.started}" if run else ""
            away = f"if it has ended there: lilliput experiments retry {one.name} --file {self.path}"
            raise ConfigError(f"'{one.name}' is running{where}", away if _away(one) else None)
        if state == "done":
            raise ConfigError(
                f"'{one.name}' is done: {self.run_folder(one).path}",
                "to train it again, give it another name, or delete that folder and set its status to todo",
            )

    def _take(self, file: QueueFile, experiment: Experiment) -> Claim:
        descriptor = _lock(self._claim_file(experiment))
        if descriptor is None:  # workers take this lock only under the file's lock, which is held here
            raise ConfigError(f"{self._claim_file(experiment)} is locked by a process that is no worker of this queue")
        last_run = LastRun(pid=os.getpid(), host=socket.gethostname(), started=_now())
        try:
            file.update(experiment.name, status="running", last_run=_shown(last_run))
        except BaseException:
            os.close(descriptor)
            raise
        return Claim(experiment, last_run, descriptor)

    def _claim_file(self, experiment: Experiment) -> Path:
        return self.work / f"{experiment.name}.claim"


def _named(file: QueueFile, name: str) -> Experiment:
    known = {experiment.name: experiment for experiment in file.experiments}
    if name not in known:
        raise ConfigError(
            f"{file.path.name} has no experiment '{name}'{nearest(name, known)}", f"it has: {', '.join(known)}"
        )
    return known[name]


def _lock(path: Path) -> int | None:
    """Return a descriptor that holds the lock on `path` until it and every copy of it are closed; None where another
    process holds the lock."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _away(experiment: Experiment) -> bool:
    """Return whether the entry names another machine, whose processes cannot be seen from here."""
    run = experiment.last_run
    return experiment.status == "running" and run is not None and run.host != socket.gethostname()


def _shown(run: LastRun) -> dict[str, object]:
    return run.model_dump(exclude_none=True)


def _now() -> str:
    return datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
