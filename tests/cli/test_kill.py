"""A run killed with SIGKILL at three random moments ends with the same bits as one that was left alone."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.conftest import TINY

STEPS, KILLS = 36, 3


def start(folder: Path, tales: Path, name: str) -> subprocess.Popen[bytes]:
    words = ["train", "story", *TINY, f"train.steps={STEPS}", "train.checkpoint_steps=6", "train.log_steps=1"]
    return subprocess.Popen(
        [sys.executable, "-m", "lilliput", *words, "train.threads=1", "--data", str(tales), "--name", name],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def lines(run: Path) -> int:
    metrics = run / "metrics.jsonl"
    return metrics.read_bytes().count(b"\n") if metrics.exists() else 0


def finish(process: subprocess.Popen[bytes]) -> None:
    _, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors.decode()


@pytest.mark.usefixtures("peaks")
def test_kills_at_random_moments(tmp_path: Path, tales: Path) -> None:
    rng = random.Random(7)
    finish(start(tmp_path, tales, "whole"))
    run = tmp_path / "runs" / "killed"
    killed = 0
    while killed < KILLS:
        process = start(tmp_path, tales, "killed")
        # Far enough to get on (a checkpoint is 6 steps), then at any moment of a step, an evaluation or a save.
        goal = STEPS * killed // (KILLS + 1) + rng.randrange(2, STEPS // KILLS)
        while process.poll() is None and lines(run) < goal:
            time.sleep(0.002)
        time.sleep(rng.random() * 0.05)
        if process.poll() is not None:
            break  # it finished before its turn came
        process.send_signal(signal.SIGKILL)
        process.communicate()
        killed += 1
    assert killed == KILLS
    finish(start(tmp_path, tales, "killed"))
    ends = [json.loads((tmp_path / "runs" / name / "summary.json").read_text()) for name in ("whole", "killed")]
    assert ends[0]["sha256"] == ends[1]["sha256"]
    assert ends[0]["val_bits_per_byte"] == ends[1]["val_bits_per_byte"]
    steps = [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert steps == list(range(STEPS + 1))
