"""The programs of test_sandbox_escapes.py, by what each of them tries."""

TOOLS = """
import ctypes, errno, os, signal, sys, time
libc = ctypes.CDLL(None, use_errno=True)
def refused(number, *arguments):
    values = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    values += [ctypes.c_long(0)] * (6 - len(values))
    result = libc.syscall(ctypes.c_long(number), *values)
    assert result == -1 and ctypes.get_errno() in (errno.EPERM, errno.ENOSYS), (result, ctypes.get_errno())
def raises(how, *arguments, kind=OSError):
    try:
        how(*arguments)
    except kind:
        return
    raise AssertionError("it succeeded")
"""
"""Begins each program. `refused` is for a system call, `raises` for what Python calls."""

OPEN_TO_ALL = {
    "memfd_create": "refused(319, b'x', 0)",
    "shmget (System V memory)": "refused(29, 0, 1 << 20, 0o1600)",
    "msgget (System V messages)": "refused(68, 0, 0o1600)",
    "semget (System V semaphores)": "refused(64, 0, 1, 0o1600)",
    "mq_open (POSIX messages)": "refused(240, b'x', 0o102, 0o600, None)",
    "add_key": "refused(248, b'user', b'x', b'secret', 6, -1)",
    "keyctl": "refused(250, 0, -3, 1)",
    "eventfd": "refused(290, 0, 0)",
    "signalfd": "refused(289, -1, bytes(8), 8, 0)",
    "timerfd": "refused(283, 1, 0)",
    "timer_create": "refused(222, 1, None, bytes(8))",
    "epoll": "refused(291, 0)",
    "inotify": "refused(294, 0)",
    "pipe": "refused(22, bytes(8))",
    "pidfd_open": "refused(434, os.getppid() or 1, 0)",
    "unshare": "refused(272, 0x10000000)",
    "personality": "refused(135, 0x0040000)",
    "sched_setscheduler": "refused(144, 0, 3, bytes(8))",
    "setpriority": "refused(141, 0, 0, 5)",
    "ioprio_set": "refused(251, 1, 0, 3 << 13)",
    "prctl, the parent's death signal": "refused(157, 1, 0)",
    "prctl, dumpable": "refused(157, 4, 1)",
    "setrlimit": "refused(160, 7, (5).to_bytes(8, 'little') * 2)",
    "prlimit of its own": "refused(302, 0, 7, (5).to_bytes(8, 'little') * 2)",
    "mknod of a FIFO": "refused(133, b'fifo', 0o10600, 0)",
    "flock": "refused(73, os.open('x', os.O_CREAT), 2)",
    "a lock on a file": "refused(72, os.open('x', os.O_CREAT | os.O_RDWR), 6, bytes(32))",
    "signals to the group": "refused(62, 0, 0)",
    "clone as fork": "refused(56, 17)",
    "vfork": "refused(58)",
    "mlock": "refused(149, bytes(4096), 4096)",
    "landlock": "refused(444, None, 0, 1)",
    "waiting for all": "refused(247, 0, 0, None, 4)",
    "splice": "refused(275, 0, 0, 1, 0, 1, 0)",
}
"""Calls that any process may make, in x86-64's numbers: refused in the sandbox, and not outside."""

PRIVILEGED = {
    "setsid, again": "refused(112)",
    "io_uring_setup": "refused(425, 1, bytes(120))",
    "userfaultfd": "refused(323, 0)",
    "bpf": "refused(321, 0, bytes(128), 128)",
    "perf_event_open": "refused(298, bytes(128), 0, -1, -1, 0)",
    "ptrace": "refused(101, 16, 1)",
    "process_vm_readv": "refused(310, 1, None, 0, None, 0)",
    "process_vm_writev": "refused(311, 1, None, 0, None, 0)",
    "setns": "refused(308, 0, 0)",
    "mount": "refused(165, b'none', b'/own', b'tmpfs', 0)",
    "umount": "refused(166, b'/own', 2)",
    "pivot_root": "refused(155, b'.', b'.')",
    "chroot": "refused(161, b'.')",
    "fsopen": "refused(430, b'tmpfs', 0)",
    "open_tree": "refused(428, -100, b'/', 1)",
    "execve": "refused(59, b'/proc/self/exe', None, None)",
    "execveat": "refused(322, 0, b'', None, None, 0x1000)",
    "clone3": "refused(435, bytes(88), 88)",
    "fanotify_init": "refused(300, 0, 0)",
    "name_to_handle_at": "refused(303, -100, b'.', bytes(64), bytes(8), 0)",
    "open_by_handle_at": "refused(304, 0, bytes(64), 0)",
    "swapon": "refused(167, b'x', 0)",
    "reboot": "refused(169, 0xfee1dead, 672274793, 0x01234567)",
    "kexec_load": "refused(246, 0, 0, None, 0)",
    "init_module": "refused(175, b'x', 1, b'')",
    "clock_settime": "refused(227, 0, bytes(16))",
    "settimeofday": "refused(164, bytes(16), None)",
    "sethostname": "refused(170, b'x', 1)",
    "mknod of a device": "refused(133, b'null', 0o20666, 0x103)",
    "setuid": "refused(105, 1)",
    "capset": "refused(126, bytes(8), bytes(24))",
    "prlimit of the watcher": "refused(302, 1, 7, (5).to_bytes(8, 'little') * 2)",
    "iopl": "refused(172, 3)",
    "syslog": "refused(103, 3, None, 0)",
    "acct": "refused(163, b'x')",
    "TIOCSTI on the terminal": "refused(16, 0, 0x5412, b'x')",
    "a number that no kernel has": "refused(1000)",
}
"""Calls that are refused to an ordinary process too, or that change nothing."""

OUTSIDE = {
    "the user's files": "raises(os.listdir, 'FOLDER')\nraises(open, 'FOLDER/kept')\nraises(os.stat, 'FOLDER/kept')",
    "a FIFO outside": "raises(os.open, 'FOLDER/fifo', os.O_RDONLY | os.O_NONBLOCK)",
    "a link out of the folder": "os.symlink('FOLDER/kept', 'link')\nraises(open, 'link')\nraises(open, 'link', 'w')",
    "up and out": "raises(open, '../' * 20 + 'FOLDER/kept')\nraises(open, '../' * 20 + 'etc/passwd')",
    "what is there": "assert set(os.listdir('/')) - {'lib', 'lib64', 'usr', 'etc', 'own', 'dev'} == OWN_LIBRARY",
    "command lines": "raises(os.listdir, '/proc')\n[raises(open, f'/proc/{n}/cmdline') for n in (1, PARENT, 'self')]",
    "memory of others": "raises(open, '/proc/PARENT/mem', 'r+b')\nraises(open, '/proc/self/mem', 'r+b')",
    "devices": "assert sorted(os.listdir('/dev')) == ['null', 'random', 'urandom', 'zero']",
    "settings of a device": "raises(os.chmod, '/dev/null', 0)\nraises(os.utime, '/dev/null')\n"
    "raises(os.remove, '/dev/null')",
    "the library": "import json\nraises(open, json.__file__, 'a')\nraises(os.chmod, json.__file__, 0o777)\n"
    "raises(os.remove, json.__file__)",
    "the root": "raises(os.mkdir, '/new')\nraises(os.rename, '/own', '/other')\nraises(os.chmod, '/', 0o777)",
    "signals to the watcher": "[raises(os.kill, 1, number) for number in (0, 2, 9, 15, 19)]",
    "signals to all": "raises(os.kill, -1, 9)\nraises(os.killpg, 0, 9)",
    "signals to the parent": "raises(os.kill, PARENT, 0)",
    "descriptors left open": "import resource\n"
    "fds = [n for n in range(4096) if libc.fcntl(n, 1) >= 0]\nassert len(fds) == 4, fds\n"
    "assert not any(os.path.isdir(f'/dev/fd/{n}') for n in fds)\nraises(os.fchdir, fds[-1])",
    "its identity": "raises(os.setuid, 1)\nraises(os.setgroups, [1])\nraises(os.nice, -1)",
    "more descriptors": "def many():\n    while True: os.dup(0)\nraises(many)",
    "filling the disk": "def fill():\n    for i in range(60): open(str(i), 'wb').write(bytes(1 << 20))\nraises(fill)",
    "one large file": "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    "raises(lambda: os.truncate(os.open('x', 66), 2 << 20))",
    "filling the inodes": "def fill():\n    for i in range(100): os.mkdir(str(i))\nraises(fill)",
    "deep folders": "def fill():\n    for i in range(100): os.mkdir('d'); os.chdir('d')\nraises(fill)",
    "running what it wrote": "open('x', 'w').write('#!/bin/sh')\nos.chmod('x', 0o755)\nraises(os.execv, './x', ['x'])",
    "threads": "import threading\nraises(threading.Thread(target=print).start, kind=RuntimeError)",
    "raising its own limits": "import resource\n"
    "[raises(resource.setrlimit, w, (-1, -1), kind=(OSError, ValueError)) for w in range(16)]",
    "the environment": "assert set(os.environ) <= {'LC_CTYPE'}",
    "anonymous memory": "import mmap\nraises(mmap.mmap, -1, 1 << 30)",
    "other modules": "raises(__import__, 'torch', kind=ImportError)\nraises(__import__, 'lilliput', kind=ImportError)",
}
"""Programs that pass where each act in them is refused. FOLDER is a folder outside, PARENT the caller's process."""

REPORT = "[n for n in range(3, 32) if libc.fcntl(n, 1) >= 0][0]"

ENDINGS = {
    "the status of a failed sandbox": "os._exit(97)",
    "every status": "os._exit(255)",
    "a call of x86-64's second table": "libc.syscall(ctypes.c_long(0x40000000 + 39))",
    "a number below zero": "libc.syscall(ctypes.c_long(-1))",
    "a call that passes every filter (uretprobe)": "libc.syscall(ctypes.c_long(335))\nos._exit(1)",
    "SIGKILL": "os.kill(os.getpid(), 9)",
    "an abort": "os.abort()",
    "a segmentation fault": "ctypes.string_at(0)",
    "a deep recursion in C": "sys.setrecursionlimit(1 << 30)\nkept = []\n"
    "for _ in range(10**6): kept = [kept]\nrepr(kept)",
    "all its memory": "kept = []\nwhile True: kept.append(bytearray(1 << 20))",
    "a flood of outputs": "while True: os.write(REPORT, b'x' * 65536)",
    "a forged report": "os.write(REPORT, b'started\\npassed')\nos._exit(0)",
    "a forged failure": "os.write(REPORT, b'-no sandbox')\nos._exit(0)",
    "nothing reported": "os._exit(0)",
    "the pipe closed": "os.close(REPORT)\ntime.sleep(100)",
    "all closed": "os.closerange(0, 1000)",
    "unreadable bytes": "os.write(REPORT, bytes(range(256)))\nos._exit(0)",
    "a program that does not parse": "def f(:",
    "half of a character": "x = '\ud800'",
    "a NUL": "x = 1\0",
    "a program nested too deeply": "(" * 5000,
}
"""Programs that fail before their time is over."""

LASTING = {
    "a sleep": "time.sleep(100)",
    "the death signal cleared, and a sleep": "libc.prctl(1, 0, 0, 0, 0)\ntime.sleep(100)",
    "every signal held": "signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\ntime.sleep(100)",
    "every signal ignored": "for n in set(range(1, 65)) - {9, 19, 32, 33}: signal.signal(n, signal.SIG_IGN)\n"
    "time.sleep(100)",
    "its own stop": "os.kill(os.getpid(), signal.SIGSTOP)",
    "a lock on itself": "import threading\nlock = threading.Lock()\nlock.acquire()\nlock.acquire()",
    "output without end": "while True: print('x' * 65536)",
    "a clock of its own": "time.monotonic = lambda: 0\nwhile True: pass",
    "drops of a report": "while True:\n    time.sleep(0.5)\n    libc.fsync(0)",
    "a regular expression": "import re\nre.match('(a+)+$', 'a' * 64 + 'b')",
    "an endless device": "while True: open('/dev/zero', 'rb').read(1 << 20)",
}
"""Programs that are still there when their time is over."""

WORKS = """
import bz2, calendar, collections, copy, ctypes, datetime, decimal, fractions, functools, gzip, hashlib, io
import itertools, json, math, os, random, re, shutil, signal, sqlite3, statistics, string, struct, sys, tempfile
import threading, time, typing, unicodedata
assert hashlib.md5(b"x").hexdigest() and hashlib.sha3_256(b"x").digest() and random.random() and os.urandom(8)
assert datetime.datetime.now() and time.perf_counter() and time.process_time() and os.cpu_count()
with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as file:
    file.write(b"x")
    open(folder + "/a", "w").write("x")
    shutil.copyfile(folder + "/a", folder + "/b")
    os.rename(folder + "/b", folder + "/c")
    assert sorted(os.listdir(folder)) == ["a", "c"]
assert sqlite3.connect(":memory:").execute("select 1").fetchone() == (1,)
heard = []
signal.signal(signal.SIGALRM, lambda *_: heard.append(1))
signal.setitimer(signal.ITIMER_REAL, 0.01)
time.sleep(0.1)
signal.raise_signal(signal.SIGALRM)
assert len(heard) == 2
print("x" * 100000)
lock = threading.Lock()
with lock: pass
assert ctypes.CFUNCTYPE(ctypes.c_int)(lambda: 3)() == 3
assert len(bytearray(200 << 20))
"""
"""What a program may count on."""
