"""The system calls that a sandboxed program may make, and the seccomp filter that refuses every other one.

An allow-list: every other call is refused, so that a call of a later kernel is refused too. A Python program needs the
listed calls to compute, to read its library and to write into its own folder. The list leaves out processes, threads
and programs; sockets, pipes and other descriptors without a file (memfd, epoll, inotify, io_uring ...); memory that
outlives a process (System V, POSIX); keys; namespaces and mounts; tracing and other processes' memory; priorities,
limits and clocks.
"""

from __future__ import annotations

import platform
import struct

ALLOWED = """
# files that are open
read=0/63 write=1/64 readv=19/65 writev=20/66 pread64=17/67 pwrite64=18/68 open=2/- openat=257/56 close=3/57
creat=85/- lseek=8/62 dup=32/23 dup2=33/- dup3=292/24 fsync=74/82 fdatasync=75/83 truncate=76/45 ftruncate=77/46
# names of files
stat=4/- fstat=5/80 lstat=6/- newfstatat=262/79 statx=332/291 statfs=137/43 fstatfs=138/44 access=21/-
faccessat=269/48 faccessat2=439/439 readlink=89/- readlinkat=267/78 getdents64=217/61 getcwd=79/17 chdir=80/49
fchdir=81/50 mkdir=83/- mkdirat=258/34 rmdir=84/- unlink=87/- unlinkat=263/35 rename=82/- renameat=264/38
renameat2=316/276 link=86/- linkat=265/37 symlink=88/- symlinkat=266/36 chmod=90/- fchmod=91/52 fchmodat=268/53
utimensat=280/88 umask=95/166
# memory of its own
mmap=9/222 munmap=11/215 mprotect=10/226 mremap=25/216 madvise=28/233 brk=12/214
# signals and timers of its own
rt_sigaction=13/134 rt_sigprocmask=14/135 rt_sigreturn=15/139 rt_sigtimedwait=128/137 sigaltstack=131/132 pause=34/-
alarm=37/- getitimer=36/102 setitimer=38/103
# waiting, clocks
poll=7/- ppoll=271/73 select=23/- pselect6=270/72 nanosleep=35/101 clock_nanosleep=230/115 sched_yield=24/124
restart_syscall=219/128 clock_gettime=228/113 clock_getres=229/114 gettimeofday=96/169 time=201/- times=100/153
# facts
getrusage=98/165 getrlimit=97/163 sysinfo=99/179 uname=63/160 getpid=39/172 getppid=110/173 gettid=186/178
getuid=102/174 geteuid=107/175 getgid=104/176 getegid=108/177 getgroups=115/158 getpgrp=111/- getpgid=121/155
getsid=124/156 getresuid=118/148 getresgid=120/150 sched_getaffinity=204/123 getcpu=309/168 getrandom=318/278
# locks, the end
futex=202/98 set_robust_list=273/99 rseq=334/293 exit=60/93 exit_group=231/94
"""
"""name=number on x86-64/number on aarch64; "-" where the kernel has no such call."""

ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
"""The column of ALLOWED, and the kernel's AUDIT_ARCH constant."""

OWN_PID = 2
"""The program's process id. It is the second process of its namespace, after the watcher."""

F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC = 0, 1, 2, 3, 4, 1030
TCGETS, TIOCGWINSZ, FIONCLEX, FIOCLEX = 0x5401, 0x5413, 0x5450, 0x5451

ARGUMENTS = {
    # signals to itself only
    "kill=62/129": (0, (OWN_PID,)),
    "tgkill=234/131": (0, (OWN_PID,)),
    # no locks and leases, which affect other processes, and no signals on input
    "fcntl=72/25": (1, (F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC)),
    "ioctl=16/29": (1, (TCGETS, TIOCGWINSZ, FIONCLEX, FIOCLEX)),
    # reads a limit where the new limit is NULL
    "prlimit64=302/261": (2, (0,)),
}
"""Calls that are allowed for some values of one argument: (number of the argument, its values)."""

UNKNOWN_FROM = 435
"""Calls that came with Linux 5.3 or later: "not implemented", at which a C library goes back to an older call."""

ALLOW, KILL, REFUSE, UNKNOWN = 0x7FFF0000, 0x80000000, 0x00050001, 0x00050026  # allow, SIGKILL, EPERM, ENOSYS
LOAD, EQUAL, AT_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06
X32 = 0x40000000
"""Set in the numbers of x86-64's second table."""

Line = tuple[int, int, int, int]
"""One instruction of classic BPF: operation, lines to skip if true, lines to skip if false, operand."""


def numbers(machine: str) -> tuple[dict[str, int], dict[str, int]]:
    """Return the numbers of the allowed calls, and the numbers of the calls in ARGUMENTS (by their key there). Raises
    KeyError for a machine that is not known."""
    column, _ = ARCHITECTURES[machine]
    rows = [line for line in ALLOWED.splitlines() if not line.startswith("#")]
    calls = {name: both.split("/")[column] for name, both in (word.split("=") for row in rows for word in row.split())}
    limited = {key: int(key.split("=")[1].split("/")[column]) for key in ARGUMENTS}
    return {name: int(number) for name, number in calls.items() if number != "-"}, limited


def seccomp_filter(machine: str | None = None) -> bytes | None:
    """The filter as the kernel takes it (struct sock_filter, 8 bytes a line); None for a machine that is not known."""
    machine = machine or platform.machine()
    if machine not in ARCHITECTURES:
        return None
    allowed, limited = numbers(machine)
    program: list[Line] = [(LOAD, 0, 0, 4), (EQUAL, 1, 0, ARCHITECTURES[machine][1]), (RETURN, 0, 0, KILL)]
    program += [(LOAD, 0, 0, 0), (AT_LEAST, 0, 1, X32), (RETURN, 0, 0, KILL)]
    for number in allowed.values():
        program += [(EQUAL, 0, 1, number), (RETURN, 0, 0, ALLOW)]
    for key, number in limited.items():
        block = one_of(*ARGUMENTS[key])
        program += [(EQUAL, 0, len(block), number), *block]
    program += [(AT_LEAST, 0, 1, UNKNOWN_FROM), (RETURN, 0, 0, UNKNOWN), (RETURN, 0, 0, REFUSE)]
    return b"".join(struct.pack("HBBI", *line) for line in program)


def one_of(argument: int, values: tuple[int, ...]) -> list[Line]:
    """Lines that allow the call if an argument (64 bits, little-endian) is one of `values`, and refuse it otherwise."""
    low, high = 16 + 8 * argument, 20 + 8 * argument
    lines: list[Line] = [(LOAD, 0, 0, high), (EQUAL, 1, 0, 0), (RETURN, 0, 0, REFUSE), (LOAD, 0, 0, low)]
    for value in values:
        lines += [(EQUAL, 0, 1, value), (RETURN, 0, 0, ALLOW)]
    return [*lines, (RETURN, 0, 0, REFUSE)]
