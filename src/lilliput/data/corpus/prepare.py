"""Prepare: take the documents of a config's sources through their steps, into a folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any

from lilliput.base import machine
from lilliput.base.console import progress
from lilliput.base.damage import read_sealed
from lilliput.base.errors import DataError, LilliputError
from lilliput.data.corpus.chunks import chunks_of
from lilliput.data.corpus.config import CorpusConfig
from lilliput.data.corpus.jobs import Job, Progress, run_job
from lilliput.data.corpus.plan import plan

IN_PROCESS_BYTES = 2**25
"""Less text than this is worked on by this process: starting others takes a second."""


@dataclass(frozen=True)
class Prepared:
    """A prepared corpus: its folder and its manifest. `submitted` where a cluster works on it now, without a
    manifest."""

    folder: Path
    manifest: dict[str, Any]
    submitted: bool = False


def prepare(
    config: CorpusConfig,
    out: Path,
    notify: Callable[[str], None] | None = None,
    worker: str = "lilliput.data.corpus.jobs",
) -> Prepared:
    """Prepare a corpus in the folder `out`, which is made. A call after an interruption goes on where the last one
    ended; after a change, what does not depend on it is found again. `worker` is the module that further
    processes run. Raises DataError."""
    from filelock import FileLock, Timeout

    say = notify or (lambda text: None)
    try:
        (out / "work").mkdir(parents=True, exist_ok=True)
        lock = FileLock(out / "work" / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise DataError(f"another process prepares {out}", "wait for it, or name another folder: --out") from None
        with lock:
            return _prepare(config, out, say, worker)
    except OSError as error:
        raise DataError(
            f"cannot write {out}: {error.strerror or error}", "free some space, or name another folder: --out"
        ) from None


def _prepare(config: CorpusConfig, out: Path, say: Callable[[str], None], worker: str) -> Prepared:
    made = plan(config)
    for number, (source, given) in enumerate(zip(made.config.sources, config.sources, strict=True)):
        chosen = f" (chosen by its documents; data.sources.{number}.profile)" if given.profile == "auto" else ""
        say(f"{source.describe()}; profile {source.profile}{chosen}")
    made.write(out / "work" / "plan.json")
    if config.executor.kind != "local":
        from lilliput.data.corpus.cluster import submit

        if submit(made, out, worker):
            return Prepared(out, {}, submitted=True)
        return Prepared(out, read_sealed(out / "manifest.json"))
    with progress("reading", unit="MB") as bar:
        _all(out, "read", worker, config, len(made.groups), lambda _, size: bar.advance(size / 1e6), 0)
    chunks = chunks_of(made, out / "work")
    total = sum(chunk.bytes for chunk in chunks)
    for number in range(made.barriers() + 1):
        name = "curating" if not made.barriers() else f"curating, pass {number + 1} of {made.barriers() + 1}"
        with progress(name, total / 1e6, "MB") as bar:
            _all(out, "work", worker, config, len(chunks), lambda _, size: bar.advance(size / 1e6), total)
        run_job(out, "decide", 0, 1, lambda documents, size: None)
    run_job(out, "finish", 0, 1, lambda documents, size: None)
    return Prepared(out, read_sealed(out / "manifest.json"))


def _all(out: Path, job: Job, worker: str, config: CorpusConfig, items: int, report: Progress, size: int) -> None:
    """Do a job with all its shares, in this process or in several."""
    count = min(config.executor.workers or machine.physical_cores(), items)
    if count < 2 or (job == "work" and size < IN_PROCESS_BYTES and config.executor.workers is None):
        run_job(out, job, 0, 1, report)
        return
    with ExitStack() as stack:
        lines: SimpleQueue[dict[str, Any] | None] = SimpleQueue()
        processes = [stack.enter_context(_process(out, job, worker, rank, count)) for rank in range(count)]
        stack.callback(lambda: [process.terminate() for process in processes])
        for process in processes:
            Thread(target=_listen, args=(process, lines), daemon=True).start()
        left = count
        while left:
            line = lines.get()
            if line is None:
                left -= 1
            elif "error" in line:
                raise DataError(line["error"], line["hint"])
            else:
                report(line["documents"], line["bytes"])
        codes = [process.wait() for process in processes]  # before the others are ended: all have done their work
    if any(codes):
        raise LilliputError(
            f"a process that curated ended with exit code {max(codes, key=abs)}", "prepare the corpus again: it goes on"
        )


def _process(out: Path, job: Job, worker: str, rank: int, world: int) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", worker, str(out), job, str(rank), str(world)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, stdin=subprocess.DEVNULL)


def _listen(process: subprocess.Popen[str], lines: SimpleQueue[dict[str, Any] | None]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        try:
            lines.put(json.loads(line))
        except ValueError:  # a library prints
            sys.stderr.write(line)
    lines.put(None)
