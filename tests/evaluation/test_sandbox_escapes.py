"""Programs that try to get out of the sandbox, or to outlast it."""

import os
import platform
import resource
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lilliput.evaluation import sandbox
from lilliput.evaluation.sandbox import Limits, SandboxMissing, check_sandbox, run_program
from lilliput.evaluation.sandbox_calls import ALLOWED, ARCHITECTURES, ARGUMENTS, numbers, seccomp_filter
from tests.evaluation.sandbox_attempts import ENDINGS, LASTING, OPEN_TO_ALL, OUTSIDE, PRIVILEGED, REPORT, TOOLS, WORKS

x86 = pytest.mark.skipif(platform.machine() != "x86_64", reason="numbers of system calls on x86-64")


@pytest.fixture(scope="module", autouse=True)
def made():
    try:
        check_sandbox()
    except SandboxMissing as missing:
        pytest.skip(missing.message)


@x86
@pytest.mark.parametrize("name", OPEN_TO_ALL)
def test_a_call_that_any_process_may_make_is_refused(name):
    assert run_program(TOOLS + OPEN_TO_ALL[name]) == "passed"
    assert run_program(TOOLS + OPEN_TO_ALL[name], sandboxed=False) == "failed"


@x86
@pytest.mark.parametrize("name", PRIVILEGED)
def test_a_call_for_the_privileged_is_refused(name):
    assert run_program(TOOLS + PRIVILEGED[name]) == "passed"


def test_every_call_that_is_not_on_the_list_is_refused():
    allowed, limited = numbers(platform.machine())
    # uretprobe and uprobe: Linux lets them through every filter, and kills who calls them without such a probe.
    numbered = {*allowed.values(), *limited.values(), 335, 336}
    program = f"for number in range(1024):\n    if number not in {numbered}:\n        refused(number)"
    assert run_program(TOOLS + program) == "passed"
    assert run_program(TOOLS + f"refused({allowed['getpid']})") == "failed"


@pytest.mark.parametrize("family", [name for name in dir(socket) if name.startswith("AF_")] + ["45"])
def test_no_socket_of_any_family_can_be_made(family):
    number = getattr(socket, family, 45)
    kinds = f"for kind in (1, 2, 3, 5):\n    raises(socket.socket, {int(number)}, kind)\n"
    pair = f"raises(lambda: socket.socketpair({int(number)}))"
    assert run_program(TOOLS + "import socket\n" + kinds + pair) == "passed"


@pytest.mark.parametrize("name", OUTSIDE)
def test_what_is_outside_is_out_of_reach(name, tmp_path):
    (tmp_path / "kept").write_text("as it was")
    os.mkfifo(tmp_path / "fifo")
    tops = {path.split("/")[1] for path in sandbox.visible()} - {"lib", "lib64", "usr", "etc"}
    program = OUTSIDE[name].replace("FOLDER", str(tmp_path)).replace("PARENT", str(os.getpid()))
    assert run_program(TOOLS + program.replace("OWN_LIBRARY", repr(tops))) == "passed"
    assert (tmp_path / "kept").read_text() == "as it was"
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("name", ENDINGS)
def test_a_program_fails_only_itself(name):
    began = time.monotonic()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert run_program(TOOLS + ENDINGS[name].replace("REPORT", REPORT), Limits(seconds=60)) == "failed"
    assert time.monotonic() - began < 50  # none of them waits for the clock
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10  # in kB
    assert run_program("pass") == "passed"  # nor does it harm the next


@pytest.mark.parametrize("name", LASTING)
@pytest.mark.parametrize("sandboxed", [True, False])
def test_nothing_outlasts_the_clock(name, sandboxed):
    began = time.monotonic()
    assert run_program(TOOLS + LASTING[name], Limits(seconds=0.5), sandboxed) == "timed out"
    assert time.monotonic() - began < 30
    assert_gone()


def assert_gone() -> None:
    """No process of this checkout's sandboxes is alive, within ten seconds."""
    script = str(Path(sandbox.__file__).with_name("sandbox_child.py")).encode()
    until = time.monotonic() + 10
    while alive := [path.parent.name for path in Path("/proc").glob("[0-9]*/cmdline") if script in read(path)]:
        assert time.monotonic() < until, alive
        time.sleep(0.05)


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # it has ended
        return b""


def test_a_daemon_of_a_trusted_program_is_killed(tmp_path):
    daemon = f"""
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        open({str(tmp_path / "pid")!r}, "w").write(str(os.getpid()))
        time.sleep(100)
    os._exit(0)
while not os.path.exists({str(tmp_path / "pid")!r}): time.sleep(0.01)
"""
    assert run_program(daemon, Limits(seconds=1), sandboxed=False) in ("failed", "timed out")  # it holds the pipe open
    assert_gone()
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGINT])
@pytest.mark.parametrize("sandboxed", [True, False])
def test_when_the_caller_is_killed_its_programs_are_gone(sandboxed, ending):
    code = "from lilliput.evaluation.sandbox import *\nprint('begun', flush=True)\n"
    code += f"run_program('import time; time.sleep(100)', Limits(seconds=90), {sandboxed})"
    caller = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert caller.stdout is not None
    assert caller.stdout.readline() == b"begun\n"
    time.sleep(1)
    caller.send_signal(ending)
    caller.wait(20)
    caller.stdout.close()
    assert_gone()


def test_a_watcher_that_is_killed_is_a_failure_and_no_abort(monkeypatch):
    monkeypatch.setattr(sandbox, "run_child", lambda *_: "started\n")
    assert run_program("pass") == "failed"
    monkeypatch.setattr(sandbox, "run_child", lambda *_: "")
    with pytest.raises(SandboxMissing, match="not made within"):
        run_program("pass")
    monkeypatch.setattr(sandbox, "run_child", lambda *_: "missing: unshare: Operation not permitted")
    with pytest.raises(SandboxMissing, match="unshare: Operation not permitted"):
        run_program("pass")


NO_NAMESPACES = """
import ctypes, os
user, group = os.getuid(), os.getgid()
assert ctypes.CDLL(None).unshare(0x10000000) == 0
for name, text in (("setgroups", "deny"), ("uid_map", f"0 {user} 1"), ("gid_map", f"0 {group} 1")):
    open(f"/proc/self/{name}", "w").write(text)
open("/proc/sys/user/max_user_namespaces", "w").write("0")  # for this namespace alone
from lilliput.evaluation.sandbox import check_sandbox, run_program
for attempt in (check_sandbox, lambda: run_program("open('ran', 'w')")):
    try:
        attempt()
    except Exception as error:
        print(type(error).__name__, error)
"""


def test_a_machine_that_gives_no_user_namespaces_runs_nothing(tmp_path):
    done = subprocess.run([sys.executable, "-c", NO_NAMESPACES], capture_output=True, text=True, cwd=tmp_path)
    refusals = [line for line in done.stdout.splitlines() if line.startswith("SandboxMissing")]
    assert len(refusals) == 2, done.stderr
    assert "user.max_user_namespaces" in refusals[0]
    assert "--allow-code" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_the_wait_for_a_child_is_limited():
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"], start_new_session=True)
    began = time.monotonic()
    sandbox.end(process)
    assert process.returncode == -signal.SIGKILL
    assert time.monotonic() - began < 20


def test_what_programs_need_works():
    assert run_program(WORKS) == "passed"


HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_numbers_are_those_of_the_kernels_headers(machine):
    if not HEADERS[machine].exists():
        pytest.skip("no kernel headers here")
    text = HEADERS[machine].read_text().replace("__NR3264_", "__NR_")
    lines = [line.split()[1:3] for line in text.splitlines() if "define __NR_" in line]
    known = {line[0].removeprefix("__NR_"): int(line[1]) for line in lines if len(line) == 2 and line[1].isdigit()}
    if "newfstatat" not in known or machine == "aarch64":
        known["newfstatat"] = known.get("fstatat", known.get("newfstatat", -1))
    allowed, limited = numbers(machine)
    assert len(allowed) > 80
    for name, number in {**allowed, **{key.split("=")[0]: number for key, number in limited.items()}}.items():
        assert known[name] == number, name


def test_a_machine_that_is_not_known_has_no_filter_and_runs_nothing(monkeypatch):
    assert seccomp_filter("riscv64") is None
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(SandboxMissing, match="riscv64"):
        run_program("pass")


def test_the_list_holds_nothing_of_the_kinds_that_reach_out():
    names = {word.split("=")[0] for word in ALLOWED.split() if "=" in word} | {key.split("=")[0] for key in ARGUMENTS}
    kinds = "socket connect bind clone fork exec ptrace mount shm msg sem mq_ key bpf perf uring userfault memfd pipe"
    kinds += " notify setns unshare module swap reboot kexec settime handle vm_ prctl setuid sched_set prio mknod"
    assert [name for name in names for kind in kinds.split() if kind in name] == []
