"""A fortieth of all faults, another with each change: none is lost, shows a traceback, hangs or fills the memory."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.table import default_seed

JOBS = max(1, (os.cpu_count() or 1) // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 1)))
"""Faults side by side: the cores that the other workers of the suite leave."""


@pytest.mark.timeout(600)
def test_a_part_of_the_faults_ends_well() -> None:
    command = [sys.executable, "-m", "tests.faults", "--part", str(default_seed()), "--jobs", str(JOBS)]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command[1:])}\n{done.stdout}\n{done.stderr}"
