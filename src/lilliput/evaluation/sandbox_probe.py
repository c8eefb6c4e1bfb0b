"""The program by which a sandbox is tried before it is used: what it must refuse, and what must work in it."""

from __future__ import annotations

import importlib

PROBE = """
import ctypes, os, socket
libc = ctypes.CDLL(None, use_errno=True)

def call(name, *arguments):
    if getattr(libc, name)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), name)

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
    "sockets": "socket.socket(socket.AF_UNIX)",
    "files": "open(HERE + '/escaped', 'w')",
    "other files": "os.listdir(HERE)",
    "other processes": "os.listdir('/proc/self')",
    "devices": "open('/dev/tty')",
    "processes": "os.fork()",
    "programs": "os.execv('/bin/true', ['true'])",
    "signals": "os.kill(1, 0)",
    "memory": "bytearray(4 << 30)",
    "shared memory": "call('shmget', 0, ctypes.c_size_t(1 << 20), 0o1600)",
    "memory files": "call('memfd_create', b'x', 0)",
    "parent's death": "call('prctl', 1, 0, 0, 0, 0)",
    "namespaces": "call('unshare', 0x10000000)",
    "mounts": "call('mount', b'none', b'/own', b'tmpfs', 0, None)",
}
"""One of each kind; HERE is a folder outside."""

MODULES = """
array bisect bz2 calendar cmath collections copy ctypes datetime decimal fractions functools hashlib heapq itertools
json lzma math operator random re sqlite3 ssl statistics string struct tempfile textwrap time typing unicodedata zlib
"""
"""What programs import."""


def usable_modules() -> list[str]:
    """Those of MODULES that this interpreter has: a Python may be built without some."""
    found: list[str] = []
    for name in MODULES.split():
        try:
            importlib.import_module(name)
        except ImportError:
            continue
        found.append(name)
    return found
