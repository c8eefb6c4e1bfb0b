"""What the sandbox holds back, tried for real."""

import os
import shutil
import sys
import time
from pathlib import Path

import pytest

from lilliput.evaluation import sandbox
from lilliput.evaluation.sandbox import Limits, SandboxMissing, check_sandbox, run_program


@pytest.fixture(scope="module", autouse=True)
def made():
    try:
        check_sandbox()
    except SandboxMissing as missing:
        pytest.skip(missing.message)


def test_a_program_passes_or_fails():
    assert run_program("import math, re, collections, typing\nassert math.gcd(6, 4) == 2") == "passed"
    assert run_program("assert 1 == 2") == "failed"
    assert run_program("def f(:") == "failed"


@pytest.mark.parametrize(
    "program",
    [
        "import socket; socket.socket()",
        "import socket; socket.create_connection(('127.0.0.1', PORT))",
        "import os; os.fork()",
        "import subprocess; subprocess.run(['true'])",
        "import threading; threading.Thread(target=print).start()",
        "open('FOLDER/new', 'w')",
        "open('FOLDER/kept', 'a')",
        "import os; os.remove('FOLDER/kept')",
        "open('big', 'wb').write(bytes(2 << 20))",
        "bytearray(1 << 30)",
        "[open('/dev/null') for _ in range(100)]",
        "[open(str(i), 'w').close() for i in range(100)]",
        "import ctypes; assert ctypes.CDLL(None).mount(b'none', b'/', b'tmpfs', 0, None) == 0",
        "import ctypes; assert ctypes.CDLL(None).unshare(0x10000000) == 0",
        "import ctypes, os; os.kill(PARENT, 0)",
        "import os; assert os.environ.get('HOME')",
        "import os; os._exit(0)",  # ends well, but not at its end
        "raise SystemExit(0)",
    ],
)
def test_what_is_forbidden_fails(program, tmp_path):
    (tmp_path / "kept").write_text("as it was")
    program = program.replace("FOLDER", str(tmp_path)).replace("PARENT", str(os.getpid())).replace("PORT", "9")
    assert run_program(program) == "failed"
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert (tmp_path / "kept").read_text() == "as it was"


def test_time_is_limited_and_nothing_is_left(tmp_path, monkeypatch):
    # A child of a folder of its own, because other processes may run other programs at the same time.
    for file in Path(sandbox.__file__).parent.glob("sandbox*.py"):
        shutil.copyfile(file, tmp_path / file.name)
    monkeypatch.setattr(sandbox, "__file__", str(tmp_path / "sandbox.py"))
    began = time.monotonic()
    assert run_program("while True: pass", Limits(seconds=0.3)) == "timed out"
    assert time.monotonic() - began < 30
    time.sleep(0.2)
    alive = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert not any(str(tmp_path).encode() in line for line in alive)


def test_its_folder_is_empty_writable_and_gone_afterwards():
    assert run_program("import os\nassert os.listdir('.') == []\nopen('x', 'w').write('y' * 1000)") == "passed"


def test_without_the_sandbox_time_is_still_limited(tmp_path):
    assert run_program(f"open({str(tmp_path / 'x')!r}, 'w')", sandboxed=False) == "passed"
    assert (tmp_path / "x").exists()
    assert run_program("while True: pass", Limits(seconds=0.3), sandboxed=False) == "timed out"
    assert run_program("bytearray(1 << 30)", sandboxed=False) == "failed"


def test_a_machine_without_namespaces_is_refused(monkeypatch):
    check_sandbox.cache_clear()
    monkeypatch.setattr(sandbox, "ATTEMPTS", {"allowed": "print()"})
    with pytest.raises(SandboxMissing, match="does not hold"):
        check_sandbox()
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(SandboxMissing, match="--allow-code"):
        check_sandbox()
    check_sandbox.cache_clear()
