"""The inside of sandbox.py: shuts itself in, then runs the program it was given. Started as a script, never imported.

Standard input holds the task; standard output gets the task's token if the program ran to its end. In order: new user,
mount, network, process and IPC namespaces; in a child that is the first process of its own: every mount read-only, a
small file system in memory as working folder, limits, no privileges, and a seccomp filter. All by libc, so that it
works where no tool is installed.
"""

import ctypes
import json
import os
import platform
import resource
import signal
import struct
import sys

CLONE_NEW = 0x00020000 | 0x10000000 | 0x20000000 | 0x40000000 | 0x08000000  # mount, user, pid, net, ipc
MS_NOSUID_NODEV = 2 | 4
PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, PR_SET_DUMPABLE = 1, 38, 22, 4
MOUNT_SETATTR, AT_FDCWD, AT_RECURSIVE, MOUNT_ATTR_RDONLY, MS_PRIVATE = 442, -100, 0x8000, 1, 1 << 18

# Numbers from the kernel's tables; those from 424 on are the same everywhere.
FORBIDDEN = {
    "x86_64": {
        "arch": 0xC000003E,
        # socket socketpair clone fork vfork execve ptrace pivot_root chroot mount umount2 init_module unshare keyctl
        # process_vm_readv process_vm_writev execveat bpf capset kexec_load setns
        "calls": (41, 53, 56, 57, 58, 59, 101, 155, 161, 165, 166, 175, 272, 250, 310, 311, 322, 321, 126, 246, 308),
    },
    "aarch64": {
        "arch": 0xC00000B7,
        "calls": (198, 199, 220, 221, 117, 41, 51, 40, 39, 105, 97, 219, 270, 271, 281, 280, 91, 104, 268),
    },
}
# io_uring_setup open_tree move_mount fsopen fsmount clone3 mount_setattr
FORBIDDEN_EVERYWHERE = (425, 428, 429, 430, 432, 435, 442)

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
            shut_in()
        limit(task)
        if task["sandboxed"]:
            give_up_privileges()
    except Exception as error:
        os.write(report, str(error).encode())
        os._exit(task["setup_failed"])
    try:
        exec(compile(task["program"], "program.py", "exec"), {"__name__": "__main__"})
    except BaseException:
        os._exit(1)
    os.write(report, task["token"].encode())
    os._exit(0)


def shut_in() -> None:
    """New namespaces; on return this is the first process of its own process namespace, in a folder of its own."""
    user, group = os.getuid(), os.getgid()
    check(libc.unshare(CLONE_NEW), "unshare")
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {user} 1"), ("gid_map", f"0 {group} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        os._exit(os.waitstatus_to_exitcode(status) & 0x7F)
    check(libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl")
    folder = os.getcwd()
    read_only = struct.pack("QQQQ", MOUNT_ATTR_RDONLY, 0, MS_PRIVATE, 0)
    check(libc.syscall(MOUNT_SETATTR, AT_FDCWD, b"/", AT_RECURSIVE, read_only, len(read_only)), "mount_setattr")
    check(libc.mount(b"none", os.fsencode(folder), b"tmpfs", MS_NOSUID_NODEV, b"size=8m,nr_inodes=64"), "mount")
    os.chdir(folder)


def limit(task: dict) -> None:
    # Past the clock that the parent keeps, which tells running out of time from failing.
    seconds = int(task["seconds"]) + 3
    for what, most in (
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_AS, task["memory_bytes"]),
        (resource.RLIMIT_FSIZE, task["file_bytes"]),
        (resource.RLIMIT_NOFILE, task["open_files"]),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (most, most))


def give_up_privileges() -> None:
    """No capability is left, none can be gained, and the calls that could reach out are refused (EPERM)."""
    check(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    check(libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0), "dumpable")
    header, none = struct.pack("Ii", 0x20080522, 0), bytes(24)
    check(libc.capset(header, none), "capset")
    known = FORBIDDEN.get(platform.machine())
    if known is None:
        raise OSError(f"no seccomp filter is known for {platform.machine()}")
    calls = (*known["calls"], *FORBIDDEN_EVERYWHERE)
    load, equal, ret = 0x20, 0x15, 0x06
    kill, refuse, allow = 0x80000000, 0x00050001, 0x7FFF0000
    program = [(load, 0, 0, 4), (equal, 1, 0, known["arch"]), (ret, 0, 0, kill), (load, 0, 0, 0)]
    # x86-64's second numbering (x32) would slip past the list.
    program += [(0x35, 0, 1, 0x40000000), (ret, 0, 0, kill)] if known["arch"] == 0xC000003E else []
    for call in calls:
        program += [(equal, 0, 1, call), (ret, 0, 0, refuse)]
    program.append((ret, 0, 0, allow))
    code = b"".join(struct.pack("HBBI", *line) for line in program)
    buffer = ctypes.create_string_buffer(code)
    filter_ = struct.pack("HxxxxxxP", len(program), ctypes.addressof(buffer))
    check(libc.prctl(PR_SET_SECCOMP, 2, filter_, 0, 0), "seccomp")


if __name__ == "__main__":
    main()
