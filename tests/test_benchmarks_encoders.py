"""The study of encoders that are fine-tuned: every part at its smallest size."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import encoders

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.mark.study
def test_the_parts_on_the_story_world(tmp_path: Path) -> None:
    study = encoders.Study(tmp_path, seeds=1, smoke=True)
    rows = {row["model"]: row for row in encoders.plots(study)}
    assert {"majority class", "bag of words", "modernbert, new", "bert, pretrained"} <= rows.keys()
    assert len({row["items"] for row in rows.values()}) == 1
    for row in rows.values():
        assert 0 <= row["low"] <= row["accuracy"] <= row["high"] <= 1
    asked = {row["model"]: row for row in encoders.questions(study)}
    assert asked.keys() == {
        *("majority class", "bag of words", "decoder, pretrained", "decoder, new"),
        *("encoder, pretrained", "encoder, new"),
    }
    assert all(row["items"] > 5 for row in asked.values())
    nearest = {row["model"]: row["accuracy"] for row in encoders.neighbours(study)}
    assert nearest.keys() >= {"chance", "words in common", "modernbert, pretrained", "bert, new"}
    assert 0.02 < nearest["chance"] < 0.3


@pytest.mark.study
def test_the_parts_on_real_text(tmp_path: Path) -> None:
    if not DATA.is_dir():
        pytest.skip("the folder of real data is not here")
    study = encoders.Study(tmp_path, DATA, 1, smoke=True)
    rows = {row["model"]: row for row in encoders.sentiment(study)}
    assert {row["items"] for row in rows.values()} == {24}
    assert "modernbert, pretrained at full rates" in rows
    found = {row["model"]: row["f1"] for row in encoders.entities(study)}
    assert found["all O"] == 0
    assert 0 < found["word dictionary"] < 1


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    row = encoders.accuracy("it", [0.25, 0.75], 100)
    assert (row["accuracy"], row["seeds"]) == (0.5, [0.25, 0.75])
    assert row["low"] < 0.5 < row["high"]
    monkeypatch.setattr(encoders, "PARTS", {"plots": (lambda study: [row], False), "real": (lambda study: [], True)})
    result = CliRunner().invoke(encoders.app, ["--runs", str(tmp_path), "--json"])
    encoders.use_json(False)
    assert json.loads(result.output) == {"seeds": 2, "plots": [row]}
    assert "needs files" in str(CliRunner().invoke(encoders.app, ["--parts", "real"]).exception)
    assert "no part" in str(CliRunner().invoke(encoders.app, ["--parts", "none"]).exception)
    encoders.print_rows("plots", [row])
    assert "0.500" in capsys.readouterr().out
