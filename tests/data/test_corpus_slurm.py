"""The same steps on datatrove's Slurm executor, with an `sbatch` that runs each task at once on this machine."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from lilliput.data.corpus import prepare
from tests.data.test_corpus import config, documents, texts

__all__ = ["texts"]

SBATCH = """#!{python}
import os, re, subprocess, sys
script = sys.argv[-1]
text = open(script).read()
array = re.search("--array=0-([0-9]+)", text)
dependency = [word for word in sys.argv if word.startswith("--dependency=")]
with open(os.environ["JOBS"], "a") as jobs:
    number = 1 + jobs.tell() // 40
    jobs.write((re.search("--job-name=(.*)", text)[1] + " " + " ".join(dependency)).ljust(39)[:39] + "\\n")
for task in range(int(array[1]) + 1 if array else 1):
    own = dict(os.environ, SLURM_ARRAY_TASK_ID=str(task), SLURM_NODELIST="here") if array else os.environ
    subprocess.run(["bash", script], env=own, check=True, stdout=sys.stderr)
print("Submitted batch job", number)
"""
SRUN = """#!/bin/bash
# srun -l -n 1 COMMAND ...
shift 3
exec "$@"
"""
SCONTROL = """#!/bin/bash
# scontrol show hostnames NODES
echo "$3"
"""


@pytest.mark.study
@pytest.mark.skipif(os.name != "posix", reason="the jobs are scripts of a shell")
def test_slurm_runs_the_same_steps(texts: Path, tmp_path: Path) -> None:
    pytest.importorskip("datatrove", reason="datatrove, an executor, is not installed")
    prepare(config(texts), tmp_path / "local")
    programs = tmp_path / "programs"
    programs.mkdir()
    scripts = {"sbatch": SBATCH.format(python=sys.executable), "srun": SRUN, "scontrol": SCONTROL}
    for name, text in scripts.items():
        (programs / name).write_text(text)
        (programs / name).chmod(stat.S_IRWXU)
    file = tmp_path / "corpus.yaml"
    executor = {"kind": "slurm", "tasks": 2, "partition": "small", "memory_gb": 3}
    file.write_text(json.dumps(config(texts, executor=executor).model_dump(mode="json")))
    path = os.pathsep.join((str(programs), str(Path(sys.executable).parent), os.environ["PATH"]))
    environment = {**os.environ, "PATH": path, "JOBS": str(tmp_path / "jobs"), "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "lilliput", "data", "prepare", str(file), "--out", str(tmp_path / "out"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, env=environment)
    assert done.returncode == 0, done.stderr
    assert documents(tmp_path / "out") == documents(tmp_path / "local")
    jobs = [line.split() for line in (tmp_path / "jobs").read_text().splitlines() if "dependency=afterok" in line]
    names = [name for name, _ in jobs if name.startswith("lilliput")]
    assert names[-3:] == ["lilliput-02-decide", "lilliput-03-work", "lilliput-04-finish"]
    script = next((tmp_path / "out").rglob("launch_script.slurm")).read_text()
    assert "--partition=small" in script
    assert "--mem-per-cpu=3G" in script
