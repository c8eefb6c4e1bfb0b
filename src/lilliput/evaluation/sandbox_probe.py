"""The program that tests a sandbox before its first use: the actions that the sandbox must refuse, and the actions that
must work."""

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
"""Tries the forbidden actions; passes where all of them are refused."""

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
"""One action of each kind; HERE is a folder outside the sandbox."""

MODULES = """
array bisect bz2 calendar cmath collections copy ctypes datetime decimal fractions functools hashlib heapq itertools
json lzma math operator random re sqlite3 ssl statistics string struct tempfile textwrap time typing unicodedata zlib
"""
"""The modules that programs import."""


def usable_modules() -> list[str]:
    """The modules in MODULES that this interpreter has, because a Python may be built without some modules."""
    found: list[str] = []
    for name in MODULES.split():
        try:
            importlib.import_module(name)
        except ImportError:
            continue
        found.append(name)
    return found
