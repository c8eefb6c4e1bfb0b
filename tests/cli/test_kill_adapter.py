"""A run that trains an adapter, killed with SIGKILL, ends with the same bits; and `--from` on the command line."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.cli.conftest import TINY, Command
from tests.cli.test_kill import finish, lines

STEPS = 60
WORDS = (
    *(word for word in TINY if not word.startswith(("model.", "tokenizer.", "train.steps"))),
    *("train.least_steps=null", f"train.steps={STEPS}", "train.checkpoint_steps=6", "train.log_steps=1"),
    *("train.threads=1", "adapter.rank=2", "adapter.dropout=0.1", "train.optimizer.kind=adamw"),
    *("evaluate.baselines=[]", "evaluate.final_heroes=0", "evaluate.heroes=0"),
)


def start(folder: Path, source: Path, tales: Path, name: str) -> subprocess.Popen[bytes]:
    words = ["train", "story", *WORDS, "--from", str(source), "--data", str(tales), "--name", name]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    out = subprocess.DEVNULL
    return subprocess.Popen(
        [sys.executable, "-m", "lilliput", *words], cwd=folder, env=environment, stdout=out, stderr=subprocess.PIPE
    )


def test_kills_in_the_training_of_an_adapter(tmp_path: Path, trained: Path, tales: Path) -> None:
    finish(start(tmp_path, trained, tales, "whole"))
    run = tmp_path / "runs" / "killed"
    for goal in (9, 33):
        process = start(tmp_path, trained, tales, "killed")
        while process.poll() is None and lines(run) < goal:
            time.sleep(0.002)
        assert process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.communicate()
    finish(start(tmp_path, trained, tales, "killed"))
    ends = [json.loads((tmp_path / "runs" / name / "summary.json").read_text()) for name in ("whole", "killed")]
    assert ends[0]["sha256"] == ends[1]["sha256"]
    assert ends[0]["init"] == ends[1]["init"]
    last = f"checkpoints/step-{STEPS:07d}/adapter/adapter_model.safetensors"
    files = [(tmp_path / "runs" / name / last).read_bytes() for name in ("whole", "killed")]
    assert files[0] == files[1]


def test_from_begins_with_a_run_and_is_stored_in_the_recipe(command: Command, trained: Path, tales: Path) -> None:
    words = [word for word in WORDS if not word.startswith("train.steps")]
    done = command(
        "train", "story", *words, "train.steps=2", "--from", str(trained), "--data", str(tales), "--name", "on"
    )
    assert done.code == 0, done.err
    assert "old text    " in done.out
    recipe = (Path("runs") / "on" / "recipe.yaml").read_text()
    assert f"from: {trained}/checkpoints/" in recipe
    missing = command("train", "story", "--from", "nowhere", "--name", "off")
    assert missing.code != 0
    assert "no run or model folder 'nowhere'" in missing.err
    assert not (Path("runs") / "off").exists()
