"""The benchmark by characters: nanoGPT's split to the letter, and a real run at a tiny size."""

import json
import math
from pathlib import Path

import pytest

import shakespeare
from lilliput.base.console import use_json
from tests.cli.conftest import write_tales

TINY = (
    "model.d_model=32",
    "model.n_layers=1",
    "model.context_length=32",
    "train.batch_tokens=256",
    "train.steps=8",
    "train.compile=false",
    "evaluate.tokens=512",
    "evaluate.final_tokens=512",
    "evaluate.sample_tokens=4",
)


def test_the_last_tenth_is_held_out(tmp_path: Path):
    text = "".join(chr(97 + number % 26) for number in range(1003))
    train, validation = shakespeare.split(text, tmp_path, pieces=7)
    parts = [json.loads(line)["text"] for line in train.read_text().splitlines()]
    assert len(parts) == 7
    assert "".join(parts) == text[:902]
    assert json.loads(validation.read_text())["text"] == text[902:]


def test_a_run_is_scored_by_character(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    tales = write_tales(tmp_path / "tales.txt")
    try:
        shakespeare.main([str(tales), *TINY, "--minutes", "1", "--json"])
    finally:
        use_json(False)
    result = json.loads(capsys.readouterr().out)
    nats = result["nats_per_character"]
    assert 1 < nats["own_windows"] < 1.2 * math.log(264)
    assert nats["sliding"] == pytest.approx(nats["own_windows"], rel=0.1)
    assert result["characters_seen"] == 8 * 256
