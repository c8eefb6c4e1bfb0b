"""The sanitizers that `make sanitize` turns on find what they are for, in builds that are kept apart."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lilliput.base.machine import compiler
from lilliput.base.runtime import native

SOURCE = """
#include <cstdint>
extern "C" {
int64_t beside(int64_t at) {
    // Of two arrays the lower one: behind the higher one the memory may end, and the system would report the read.
    int64_t *one = new int64_t[4](), *other = new int64_t[4]();
    int64_t* volatile some = one < other ? one : other;
    int64_t found = some[at];
    delete[] one;
    delete[] other;
    return found;
}
int32_t beyond(int32_t by) { return by + 2147483647; }
int32_t whole(float of) { return (int32_t)of; }
}
"""
PROGRAM = """
import ctypes, sys
from pathlib import Path
from lilliput.base.runtime.native import build
name, kind, value = sys.argv[2:]
print(getattr(build(Path(sys.argv[1])), name)(getattr(ctypes, kind)(float(value) if kind == "c_float" else int(value))))
"""


def _libraries() -> list[str]:
    """What has to be there before Python: the sanitizer, and the C++ library whose exceptions it watches."""
    found = []
    for name in ("libasan.so", "libstdc++.so"):
        command = [compiler() or "g++", f"-print-file-name={name}"]
        printed = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
        if not Path(printed).is_absolute():
            pytest.skip(f"the compiler has no {name}")
        found.append(printed)
    return found


@pytest.mark.skipif(compiler() is None or sys.platform != "linux", reason="no C++ compiler here")
@pytest.mark.parametrize(
    ("name", "kind", "right", "wrong", "finding"),
    [
        ("beside", "c_int64", 3, 4, "AddressSanitizer: heap-buffer-overflow"),
        ("beyond", "c_int32", 0, 1, "signed integer overflow"),
        ("whole", "c_float", 7, 1e20, "is outside the range of representable values"),
    ],
)
def test_a_finding_ends_the_process(
    tmp_path: Path, name: str, kind: str, right: float, wrong: float, finding: str
) -> None:
    source = tmp_path / "wrong.cpp"
    source.write_text(SOURCE)
    environment = {
        **os.environ,
        "LD_PRELOAD": " ".join(_libraries()),
        "ASAN_OPTIONS": "detect_leaks=0",
        native.SANITIZE: "address,undefined,float-cast-overflow",
    }

    def ran(value: float) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", PROGRAM, str(source), name, kind, str(value)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    good, bad = ran(right), ran(wrong)
    assert good.returncode == 0, good.stderr
    assert bad.returncode != 0
    assert finding in bad.stderr


def test_sanitizer_builds_are_kept_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(native.SANITIZE, raising=False)
    assert native.sanitizers() == ()
    monkeypatch.setenv(native.SANITIZE, "address")
    assert native.sanitizers()[0] == "-fsanitize=address"
