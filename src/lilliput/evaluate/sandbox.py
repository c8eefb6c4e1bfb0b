"""Running a program that a model wrote: a process of its own without network, files, children or much memory.

What it holds back (Linux, x86-64 and aarch64; see sandbox_child.py for how):

- time: wall clock and CPU seconds; the process is killed
- memory: address space; files: a fresh folder in memory of 8 MB and 64 files, everything else is read-only; open files
- processes: none but its own, no threads, and it sees no other process to signal
- network: its own empty network namespace, and no socket can be made
- environment: no variable is passed on; Python runs isolated (-I) and without site-packages (-S)

What it does not hold back: the program can read whatever files the user can read (it can send them nowhere); it shares
the kernel, so a hole in the kernel is a way out; it can use one core until its time is over; and since it runs in the
process that reports on it, a program that sets out to can claim to have passed.
"""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from lilliput.base.errors import LilliputError

Outcome = Literal["passed", "failed", "timed out"]

PROBE = """
import os, socket
blocked = []
for name, attempt in {attempts!r}.items():
    try:
        exec(attempt)
    except (OSError, MemoryError):
        blocked.append(name)
assert blocked == {names!r}, blocked
open("note", "w").write("the folder of its own can be written to")
assert os.environ.keys() <= {{"LC_CTYPE"}}, os.environ
"""
"""Tries what the sandbox forbids; passes where all of it is refused."""

ATTEMPTS = {
    "network": "socket.create_connection(('127.0.0.1', 9), timeout=1)",
    "files": "open(HERE + '/escaped', 'w')",
    "processes": "os.fork()",
    "memory": "bytearray(4 << 30)",
}


@dataclass(frozen=True, slots=True)
class Limits:
    """What one program may use."""

    seconds: float = 5.0
    memory_bytes: int = 512 << 20
    file_bytes: int = 1 << 20
    open_files: int = 32


class SandboxMissing(LilliputError):
    """A sandbox cannot be made here."""


def run_program(program: str, limits: Limits = Limits(), sandboxed: bool = True) -> Outcome:
    """Whether `program` (Python source) runs to its end without an exception, within `limits`.

    With `sandboxed` off, only time, memory and file sizes are limited, and its folder is a temporary one: for machines
    that cannot make a sandbox, where the user has said that they trust the programs."""
    token = secrets.token_hex(16)
    task = {"program": program, "token": token, "sandboxed": sandboxed, "setup_failed": SETUP_FAILED, **asdict(limits)}
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-B", str(Path(__file__).with_name("sandbox_child.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            env={},
            start_new_session=True,
        )
        try:
            said, _ = process.communicate(json.dumps(task).encode(), timeout=limits.seconds + 1)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            return "timed out"
    if process.returncode == SETUP_FAILED:
        raise SandboxMissing("the sandbox cannot be made on this machine: " + said.decode(errors="replace")[:300])
    return "passed" if said.decode(errors="replace") == token else "failed"


SETUP_FAILED = 97
"""Exit status of a child that could not make its sandbox."""


@cache
def check_sandbox() -> None:
    """Makes a sandbox and tries to break out of it in the ways it forbids. Raises SandboxMissing where it cannot be
    made or does not hold."""
    if not sys.platform.startswith("linux"):
        raise SandboxMissing(f"programs are sandboxed by Linux namespaces and seccomp; this is {sys.platform}", HINT)
    with tempfile.TemporaryDirectory() as folder:
        attempts = {name: text.replace("HERE", repr(folder)) for name, text in ATTEMPTS.items()}
        try:
            outcome = run_program(PROBE.format(attempts=attempts, names=list(attempts)), Limits(seconds=10))
        except SandboxMissing as error:
            raise SandboxMissing(error.message, HINT) from None
        escaped = (Path(folder) / "escaped").exists()
    if outcome != "passed" or escaped:
        raise SandboxMissing("the sandbox does not hold on this machine: a forbidden act succeeded", HINT)


HINT = "if you trust the programs, run them with limits on time and memory alone: --allow-code"
