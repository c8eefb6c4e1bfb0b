"""Run a program that a model generated, in a separate process without network, children, other files or much memory.

The sandbox limits (Linux, x86-64 and aarch64; sandbox_child.py has the code, sandbox_calls.py the allowed system
calls):

- time: wall clock and CPU seconds; a process outside the program's reach keeps the clock and ends all of it
- memory: address space, and no memory that outlives a process or is counted elsewhere
- files: it sees the interpreter's libraries, read-only, four devices, and a folder in memory of 8 MB and 64 files
- processes: none but its own, no threads; no other process can be seen or sent a signal
- network: its own empty network namespace, and no socket of any family can be made
- environment: no variable is passed on; Python runs isolated (-I) and without site-packages (-S)

docs/sandbox.md lists what the sandbox does not limit.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import platform
import secrets
import select
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import IO, Any, Literal

from lilliput.base.errors import LilliputError
from lilliput.evaluation.sandbox_calls import OWN_PID, seccomp_filter
from lilliput.evaluation.sandbox_probe import ATTEMPTS, PROBE, usable_modules

Outcome = Literal["passed", "failed", "timed out"]

SETUP_SECONDS = 60.0
"""The longest time in which a busy machine may make a sandbox. The program's own time is not included."""

REPORT_BYTES = 4096
"""The most bytes of a report that are read."""

log = logging.getLogger("lilliput.evaluation")


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one program."""

    seconds: float = 5.0
    memory_bytes: int = 512 << 20
    file_bytes: int = 1 << 20
    open_files: int = 32


class SandboxMissing(LilliputError):
    """A sandbox cannot be made here."""


def run_program(program: str, limits: Limits = Limits(), sandboxed: bool = True) -> Outcome:
    """Return whether `program` (Python source) runs to its end without an exception, within `limits`.

    Raises SandboxMissing where the program could not be started. No action of the program raises an error here. Without
    `sandboxed`, only time, memory and file sizes are limited, and the program has a temporary folder. This is for
    machines that cannot make a sandbox, where the user trusts the programs."""
    task: dict[str, Any] = {
        "program": program,
        "token": secrets.token_hex(16),
        "sandboxed": sandboxed,
        **asdict(limits),
    }
    task |= {"parent": os.getpid(), "setup_seconds": SETUP_SECONDS}
    if sandboxed:
        code = seccomp_filter()
        if code is None:
            raise SandboxMissing(f"no seccomp filter is known for {platform.machine()}")
        task |= {"filter": code.hex(), "own_pid": OWN_PID, "visible": visible()}
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as file:
        file.write(json.dumps(task).encode())
        file.seek(0)
        report = run_child(file, folder, SETUP_SECONDS + limits.seconds + 5)
    started, _, outcome = report.partition("\n")
    if started != "started":
        reason = started.removeprefix("missing: ") or f"it was not made within {SETUP_SECONDS:.0f} seconds"
        raise SandboxMissing("the sandbox cannot be made on this machine: " + reason[:300])
    # No outcome: the watcher was ended from outside, by the kernel's memory killer or by the clock below.
    return outcome if outcome in ("passed", "timed out") else "failed"


def run_child(task: IO[bytes], folder: str, seconds: float) -> str:
    """The report of a child (sandbox_child.py has its words), or as much of it as came within `seconds`."""
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-B", str(Path(__file__).with_name("sandbox_child.py"))],
        stdin=task,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=folder,
        env={},
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        return read_report(process.stdout.fileno(), time.monotonic() + seconds)
    except BaseException:
        kill(process)
        raise
    finally:
        process.stdout.close()
        end(process)


def read_report(descriptor: int, until: float) -> str:
    got = b""
    while len(got) < REPORT_BYTES and select.select([descriptor], [], [], max(0.0, until - time.monotonic()))[0]:
        part = os.read(descriptor, REPORT_BYTES - len(got))
        if not part:
            break
        got += part
    return got.decode(errors="replace")


def end(process: subprocess.Popen[bytes]) -> None:
    """Wait for the end of a child that has reported, and kill the child where it does not end. The wait is always
    short."""
    try:
        process.wait(timeout=2)
        return
    except subprocess.TimeoutExpired:
        kill(process)
    try:
        process.wait(timeout=2)
    except subprocess.TimeoutExpired:
        log.warning("process %d of a sandbox does not end (it waits inside the kernel); it is left behind", process.pid)


def kill(process: subprocess.Popen[bytes]) -> None:
    """Keeper and watcher are one process group. The program, or its whole namespace, dies with its watcher."""
    with contextlib.suppress(ProcessLookupError, PermissionError):  # the process has ended
        os.killpg(process.pid, signal.SIGKILL)


@cache
def visible() -> list[str]:
    """Return the folders and files that a Python program needs to load its library. None of them belongs to the
    user."""
    names = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/share/zoneinfo", "/etc/ld.so.cache")
    own = (f"{sys.base_prefix}/lib", *(sysconfig.get_path(key, vars=BASE) for key in ("stdlib", "platstdlib")))
    found: list[str] = []
    for path in (*names, *own):
        if os.path.exists(path) and not any(path == other or path.startswith(other + "/") for other in found):
            found.append(path)
    return found


BASE = {"base": sys.base_prefix, "platbase": sys.base_exec_prefix}


@cache
def check_sandbox() -> None:
    """Make a sandbox and run a program in it that tries to escape. Raises SandboxMissing where the sandbox cannot be
    made, or the program escapes."""
    if not sys.platform.startswith("linux"):
        raise SandboxMissing(f"programs are sandboxed by Linux namespaces and seccomp; this is {sys.platform}", HINT)
    with tempfile.TemporaryDirectory() as folder:
        attempts = {name: text.replace("HERE", repr(folder)) for name, text in ATTEMPTS.items()}
        try:
            outcome = run_program(PROBE.format(attempts=attempts, names=list(attempts)), Limits(seconds=30))
            loaded = run_program("\n".join(f"import {name}" for name in usable_modules()), Limits(seconds=30))
        except SandboxMissing as error:
            raise SandboxMissing(error.message, HINT) from None
        escaped = (Path(folder) / "escaped").exists()
    if outcome != "passed" or escaped:
        raise SandboxMissing("the sandbox does not hold on this machine: a forbidden act succeeded", HINT)
    if loaded != "passed":
        raise SandboxMissing(f"Python's library cannot be loaded from {', '.join(visible())}", HINT)


HINT = "if you trust the programs, run them with limits on time and memory alone: --allow-code"
