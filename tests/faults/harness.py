"""One fault, run in a child process with budgets of time and memory: how it ended.

A generator is a module with `cases(build)`, named in `GENERATORS`. It gives `Case`s. The process that runs them loads
PyTorch and Lilliput once and then forks for each case: a crash is that child's alone, and a case costs milliseconds.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import json
import mmap
import os
import resource
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

GENERATORS: tuple[str, ...] = ("tests.faults.damage", "tests.faults.hostile")
"""The modules whose `cases` are run; a generator is added by its name here."""

Build = Callable[[str, Callable[[Path], object]], Path]
"""build(name, fill): a folder that `fill(folder)` filled, once, in a process of its own. Cases must copy from it."""

SECONDS = 10.0
MEMORY = 512 * 2**20
WALL = 6
"""A case may take this many times its budget by the wall clock: the machine may be busy, and a case that sleeps uses
no processor at all."""
POLL_SECONDS = 0.02
PARTS = 40
TEXT = 2000


class Lost(Exception):
    """A promise that was not kept: data lost, damage taken for good, a hostile file accepted."""


@dataclass(frozen=True)
class Case:
    """`run(folder)` injects one fault and uses the product, in an empty folder of its own that is also the process's
    current folder; `$LILLIPUT_CACHE` is `folder/cache`. It returns, or raises a LilliputError, when all is well; raises
    `Lost` (or fails an assertion) when a promise was not kept. Any other exception is a traceback that a person would
    see. `name` is unique and stable, since it decides the part that the case belongs to; `group` is its row of the
    table. `seconds` are of processor time, `memory` bytes beyond those at the start."""

    group: str
    name: str
    run: Callable[[Path], object]
    seconds: float = SECONDS
    memory: int = MEMORY


@dataclass(frozen=True)
class Outcome:
    """`kind` is 'ok', 'lost', 'traceback' (a crash too), 'hang' or 'memory'; `text` says what happened."""

    group: str
    name: str
    kind: str
    text: str
    seconds: float
    memory: int


def part(cases: Iterable[Case], seed: int) -> list[Case]:
    """The cases whose name falls to `seed`: PARTS seeds in a row make up all of them, each once."""
    return [case for case in cases if _digest(case) % PARTS == seed % PARTS]


def _digest(case: Case) -> int:
    return int.from_bytes(hashlib.sha256(f"{case.group}/{case.name}".encode()).digest()[:8], "big")


def collect(root: Path, generators: Sequence[str] = GENERATORS) -> list[Case]:
    """The cases of all generators in their order. Raises ValueError where two have one name."""

    def build(name: str, fill: Callable[[Path], object]) -> Path:
        folder = root / "built" / name
        if not folder.exists():
            made = run(Case("built", name, fill, seconds=120, memory=2**33), folder, keep=True)
            if made.kind != "ok":
                raise RuntimeError(f"{name} could not be made: {made.kind}\n{made.text}")
        return folder

    found = [case for name in generators for case in importlib.import_module(name).cases(build)]
    names = [(case.group, case.name) for case in found]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"two cases are called {twice}")
    return found


def run_all(cases: Sequence[Case], root: Path, jobs: int) -> Iterator[Outcome]:
    """Every outcome as it comes, `jobs` cases side by side."""
    waiting, running = list(reversed(cases)), []
    number = 0
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                number += 1
                running.append(_Child(waiting.pop(), root / f"case-{number}"))
            time.sleep(POLL_SECONDS / 4)
            for child in [child for child in running if child.over()]:
                running.remove(child)
                yield child.outcome()
                shutil.rmtree(child.folder, ignore_errors=True)
    finally:
        for child in running:
            child.kill()


def run(case: Case, folder: Path, keep: bool = False) -> Outcome:
    """How one case ends in `folder`, which is made, and removed again unless `keep`."""
    child = _Child(case, folder)
    while not child.over():
        time.sleep(POLL_SECONDS / 4)
    if not keep:
        shutil.rmtree(folder, ignore_errors=True)
    return child.outcome()


class _Child:
    """A case in a process of its own, which leads a group, so that what it started ends with it."""

    def __init__(self, case: Case, folder: Path):
        self.case, self.folder = case, folder
        folder.mkdir(parents=True)
        self.result = folder.with_name(f"{folder.name}.result")
        self.log = folder.with_name(f"{folder.name}.log")
        self.killed: str | None = None
        self.began = time.monotonic()
        # What the child holds at its start, by its own count: pages of files are shared without being counted for it.
        self.base = mmap.mmap(-1, mmap.PAGESIZE)
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            self.base[:8] = (_resident("self") or 0).to_bytes(8, "little")
            _inside(case, folder, self.result, self.log)

    def over(self) -> bool:
        """Whether it has ended; ends it where it takes too much."""
        pid, self.status, self.usage = os.wait4(self.pid, os.WNOHANG)
        if pid:
            return True
        grown = (_resident(str(self.pid)) or 0) - (self._base() or 2**63)
        if time.monotonic() - self.began > WALL * self.case.seconds:
            self.killed = "hang"
        elif grown > 1.5 * self.case.memory:
            self.killed = "memory"
        if self.killed:
            self.kill()
            _, self.status, self.usage = os.wait4(self.pid, 0)
        return self.killed is not None

    def _base(self) -> int:
        return int.from_bytes(self.base[:8], "little")

    def kill(self) -> None:
        """End the whole group."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def outcome(self) -> Outcome:
        """How it ended. What it printed is part of the text when that was not well."""
        self.kill()  # what it left behind
        seconds = self.usage.ru_utime + self.usage.ru_stime
        memory = max(0, self.usage.ru_maxrss * 1024 - self._base())
        kind, text = self._ending()
        if kind == "ok" and memory > self.case.memory:
            kind, text = "memory", f"{memory / 1e6:,.0f} MB of {self.case.memory / 1e6:,.0f}"
        if kind == "ok" and seconds > self.case.seconds:
            kind, text = "hang", f"{seconds:.1f} s of {self.case.seconds:.0f}"
        if kind != "ok" and self.log.exists():
            text += "\n" + self.log.read_text(errors="replace")[-TEXT:]
        for file in (self.result, self.log):
            file.unlink(missing_ok=True)
        return Outcome(self.case.group, self.case.name, kind, text, round(seconds, 3), memory)

    def _ending(self) -> tuple[str, str]:
        if self.killed:
            return self.killed, f"ended after {time.monotonic() - self.began:.0f} s"
        if os.WIFSIGNALED(self.status):
            name = signal.Signals(os.WTERMSIG(self.status)).name
            return ("hang" if name == "SIGXCPU" else "traceback"), f"killed by {name}"
        if not self.result.exists():
            return "traceback", f"the process ended by itself ({os.waitstatus_to_exitcode(self.status)})"
        kind, text = json.loads(self.result.read_text(encoding="utf-8"))
        return kind, text


def _resident(process: str) -> int | None:
    """Bytes of memory that a process holds; None once it is gone."""
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * resource.getpagesize()
    except (OSError, IndexError):
        return None


def _inside(case: Case, folder: Path, result: Path, log: Path) -> NoReturn:
    """The child's whole life."""
    code = 1
    try:
        os.setpgid(0, 0)
        limit = int(case.seconds) + 1
        resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 5))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.environ["LILLIPUT_CACHE"] = str(folder / "cache")
        os.chdir(folder)
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        empty = os.open(os.devnull, os.O_RDONLY)
        for descriptor, number in ((empty, 0), (out, 1), (out, 2)):
            os.dup2(descriptor, number)
        ending = _how(case, folder)
        sys.stdout.flush()
        sys.stderr.flush()
        result.write_text(json.dumps(ending), encoding="utf-8")
        code = 0
    finally:
        os._exit(code)


def _how(case: Case, folder: Path) -> tuple[str, str]:
    from lilliput.base.errors import LilliputError

    try:
        case.run(folder)
    except LilliputError as error:
        return "ok", str(error)
    except (Lost, AssertionError) as error:
        return "lost", "".join(traceback.format_exception(error))[-TEXT:]
    except BaseException as error:
        return "traceback", "".join(traceback.format_exception(error))[-TEXT:]
    return "ok", ""


def command(*words: str) -> tuple[int, str, str]:
    """`lilliput WORDS` inside a case: exit code, standard output and error. Raises what would be a traceback."""
    from lilliput.cli.main import main

    with open("stdout", "w+", encoding="utf-8") as out, open("stderr", "w+", encoding="utf-8") as errors:
        before = sys.argv
        sys.argv = ["lilliput", *words]
        code = 0
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
                main()
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else int(error.code is not None)
        finally:
            sys.argv = before
        out.seek(0)
        errors.seek(0)
        return code, out.read(), errors.read()


def refused(*words: str) -> str:
    """`lilliput WORDS` inside a case, which must end with exit code 2 and one line: what it printed. Raises Lost."""
    code, _, errors = command(*words)
    if code != 2 or not errors.strip():
        raise Lost(f"lilliput {' '.join(words)} was not refused: exit code {code}, {errors[-500:]!r}")
    return errors


def grouped(group: str, cases: Iterable[Case]) -> list[Case]:
    """The same cases under another row of the table."""
    return [replace(case, group=group) for case in cases]
