"""What the C++ kernels must refuse ends in a Python error, and no random change of their arguments ends the process."""

import subprocess
import sys

import pytest

from lilliput.base.machine import compiler


@pytest.mark.skipif(compiler() is None, reason="no C++ compiler here")
def test_wrong_arguments_are_refused() -> None:
    program = [sys.executable, "-m", "tests.model.wrong_kernels"]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    assert done.returncode == 0, f"ended at: {lines[-1:]}\n{done.stderr[-6000:]}"
    assert lines[-1] == "all tried"
    assert sum(line.startswith("wrong") for line in lines) > 200
    assert [line for line in lines if line.startswith("NOT REFUSED")] == []
