"""The inside of sandbox.py: it restricts itself, then runs the given program. It is started as a script and never
imported.

Three processes, each the parent of the next:

- keeper: makes new user, mount, process, network and IPC namespaces, and waits.
- watcher: the first process of the process namespace, whose end ends all processes in it. It makes a separate file
system
  (the interpreter's libraries, read-only; four devices; a small folder in memory), holds the clock, and reports.
- program: limits, no privileges, a seccomp filter, and then the code. It can reach neither keeper nor watcher. Its
report goes to the watcher, which reads no more bytes than the token has.

The code uses libc alone, so that it works where no tool is installed. Standard input holds the task. Standard output
gets "started" once the program runs, then "passed", "failed" or "timed out". Where the sandbox cannot be made, standard
output gets only "missing: " and the reason.
"""

import contextlib
import ctypes
import json
import os
import resource
import select
import signal
import struct
import sys
import time

CLONE_NEW = 0x00020000 | 0x10000000 | 0x20000000 | 0x40000000 | 0x08000000  # mount, user, pid, net, ipc
MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND, MS_REC, MNT_DETACH = 2, 4, 8, 4096, 16384, 2
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 4, 22, 36, 38
MOUNT_SETATTR, AT_FDCWD, AT_RECURSIVE, MS_PRIVATE = 442, -100, 0x8000, 1 << 18
ATTR_RDONLY, ATTR_NOSUID, ATTR_NODEV = 1, 2, 4
PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
DEVICES = ("null", "zero", "random", "urandom")
FOLDER = "/own"

libc = ctypes.CDLL(None, use_errno=True)


def check(result: int, what: str) -> None:
    if result < 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


def main() -> None:
    task = json.loads(sys.stdin.buffer.read())
    report = os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    try:
        if task["sandboxed"]:
            shut_in(task, report)
        elif sys.platform.startswith("linux"):
            die_with_parent(task["parent"])
            check(libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "subreaper")
        watch(task, report)
    except Exception as error:
        os.write(report, f"missing: {error}".encode())
        os._exit(1)


def die_with_parent(parent: int) -> None:
    check(libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl")
    if os.getppid() != parent:
        os._exit(1)


def shut_in(task: dict, report: int) -> None:
    """Make new namespaces and a new root. On return this process is the first process of its process namespace."""
    user, group = os.getuid(), os.getgid()
    check(libc.unshare(CLONE_NEW), "user namespaces (see sysctl user.max_user_namespaces)")
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {user} 1"), ("gid_map", f"0 {group} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)
    die_with_parent(task["parent"])
    lifeline, held = os.pipe()
    child = os.fork()
    if child:
        os.close(lifeline)
        os.close(report)  # so that it ends with the watcher
        os.waitpid(child, 0)
        os._exit(0)
    os.close(held)
    # A signal without a handler never reaches the first process of a namespace from inside.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    check(libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl")
    if select.select([lifeline], [], [], 0)[0]:  # the keeper died before the line above
        os._exit(1)
    new_root(task["visible"])


def new_root(visible: list[str]) -> None:
    """Replace the machine's file system by a new file system with the paths of `visible`, read-only, DEVICES and
    FOLDER."""
    attributes(b"/", AT_RECURSIVE, 0, MS_PRIVATE)
    root = os.getcwd()
    mount(b"none", root, b"tmpfs", MS_NOSUID | MS_NODEV, b"size=1m,mode=755")
    for path in visible:
        place(path, root + path)
        attributes(os.fsencode(root + path), AT_RECURSIVE, ATTR_RDONLY | ATTR_NOSUID | ATTR_NODEV, 0)
    for name in DEVICES:
        place(f"/dev/{name}", f"{root}/dev/{name}")
        attributes(os.fsencode(f"{root}/dev/{name}"), 0, ATTR_RDONLY | ATTR_NOSUID, 0)
    os.mkdir(root + FOLDER)
    mount(b"none", root + FOLDER, b"tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, b"size=8m,nr_inodes=64")
    attributes(os.fsencode(root), 0, ATTR_RDONLY, 0)
    os.chdir(root)
    check(libc.syscall(PIVOT_ROOT[os.uname().machine], b".", b"."), "pivot_root")
    check(libc.umount2(b".", MNT_DETACH), "umount")
    os.chdir(FOLDER)


def place(source: str, target: str) -> None:
    """Binds a folder or file of the machine to a place in the new root."""
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o600))
    mount(os.fsencode(source), target, None, MS_BIND | MS_REC, None)


def mount(source: bytes, target: str, kind, flags: int, options) -> None:
    check(libc.mount(source, os.fsencode(target), kind, ctypes.c_ulong(flags), options), f"mount {target}")


def attributes(path: bytes, how: int, flags: int, propagation: int) -> None:
    wanted = struct.pack("QQQQ", flags, 0, propagation, 0)
    check(libc.syscall(MOUNT_SETATTR, AT_FDCWD, path, how, wanted, ctypes.c_size_t(len(wanted))), "mount_setattr")


def watch(task: dict, report: int) -> None:
    """Start the program, wait for its token or the end of its time, write the outcome, and end all processes."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.close(read)
        os.close(report)
        start(task, write)
    os.close(write)
    first, _ = receive(read, 1, task["setup_seconds"])
    if first != b"+":
        raise OSError(receive(read, 300, 1)[0].decode(errors="replace") or "it ended before the program began")
    os.write(report, b"started\n")
    token = task["token"].encode()
    got, in_time = receive(read, len(token) + 1, task["seconds"])
    os.close(read)
    if not task["sandboxed"]:
        end_all(child)
    os.write(report, b"timed out" if not in_time else b"passed" if got == token else b"failed")
    os._exit(0)


def receive(descriptor: int, most: int, seconds: float) -> tuple[bytes, bool]:
    """At most `most` bytes, and whether they, or the writer's end, came within `seconds`."""
    got, until = b"", time.monotonic() + seconds
    while len(got) < most:
        if not select.select([descriptor], [], [], max(0.0, until - time.monotonic()))[0]:
            return got, False
        part = os.read(descriptor, most - len(got))
        if not part:
            break
        got += part
    return got, True


def end_all(child: int) -> None:
    """Without namespaces, kill the program's process group and, on Linux, all processes that left the group, for two
    seconds."""
    kill(os.killpg, child)
    until = time.monotonic() + 2
    while time.monotonic() < until:
        for orphan in children():
            kill(os.kill, orphan)
        try:
            ended, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not ended:
            time.sleep(0.01)


def kill(how, which: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # it has ended
        how(which, signal.SIGKILL)


def children() -> list[int]:
    try:
        with open(f"/proc/self/task/{os.getpid()}/children") as file:
            return [int(word) for word in file.read().split()]
    except FileNotFoundError:  # not Linux, or a kernel without this list: the group alone is killed
        return []


def start(task: dict, report: int) -> None:
    """Run the program's process, from its limits to its end."""
    try:
        watcher = os.getppid()
        os.setsid()  # a signal to the program's own group stays inside
        limit(task)
        if task["sandboxed"]:
            keep_only(report)
            give_up_privileges(bytes.fromhex(task["filter"]), task["own_pid"])
        elif sys.platform.startswith("linux"):
            die_with_parent(watcher)
    except Exception as error:
        os.write(report, f"-{error}".encode())
        os._exit(1)
    os.write(report, b"+")
    try:
        exec(compile(task["program"], "program.py", "exec"), {"__name__": "__main__"})
        os.write(report, task["token"].encode())
    except BaseException:
        os._exit(1)
    os._exit(0)


def keep_only(report: int) -> None:
    os.closerange(3, report)
    os.closerange(report + 1, 4096)


def limit(task: dict) -> None:
    # The limit lies after the end of the watcher's clock, by which a program that ran out of time is recognised.
    seconds = int(task["seconds"]) + 3
    for what, most in (
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_AS, task["memory_bytes"]),
        (resource.RLIMIT_FSIZE, task["file_bytes"]),
        (resource.RLIMIT_NOFILE, task["open_files"]),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(what)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (most, most))


def give_up_privileges(code: bytes, own_pid: int) -> None:
    """Drop all capabilities, prevent new ones, and refuse the calls that the filter does not list (EPERM)."""
    if os.getpid() != own_pid:
        raise OSError(f"process {os.getpid()} of its namespace, not {own_pid}")
    check(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    check(libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0), "dumpable")
    header, none = struct.pack("Ii", 0x20080522, 0), bytes(24)
    check(libc.capset(header, none), "capset")
    buffer = ctypes.create_string_buffer(code)
    filter_ = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(buffer))
    check(libc.prctl(PR_SET_SECCOMP, 2, filter_, 0, 0), "seccomp")


if __name__ == "__main__":
    main()
