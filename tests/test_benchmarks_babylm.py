"""The benchmark of ten million words at its smallest size."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import babylm

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.mark.study
def test_the_arms_are_trained_and_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if not DATA.is_dir():
        pytest.skip("the folder of real data is not here")
    arguments = ["--data", str(DATA), "--runs", str(tmp_path), "--only", "hybrid", "--smoke", "--json"]
    result = CliRunner().invoke(babylm.app, arguments)
    babylm.use_json(False)
    arms = json.loads(result.stdout)["arms"]
    row = arms["hybrid"]
    assert row["blimp"].keys() == {
        *("hybrid", "hybrid, both sides", "untrained weights", "untrained weights, both sides")
    }
    assert all(0 <= each["score"] <= 1 for each in row["blimp"].values())
    assert len(row["sets"]) > 20
    words = sum(len(json.loads(line)["text"].split()) for line in (tmp_path / "babylm.jsonl").read_text().splitlines())
    assert 50_000 < words <= 100_000
    babylm.print_table(arms)
    printed = capsys.readouterr().out
    assert "GPT-BERT, published" in printed
    assert "passive_1" in printed


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    run = CliRunner().invoke
    assert "gutenberg" in str(run(babylm.app, ["--data", str(tmp_path), "--runs", str(tmp_path / "r")]).exception)
    assert "no arm is named elf" in str(run(babylm.app, ["--data", str(tmp_path), "--only", "elf"]).exception)
