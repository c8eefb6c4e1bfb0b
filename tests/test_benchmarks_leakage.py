"""The study of quality against leakage at its smallest size."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import leakage

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.mark.study
def test_both_tables_are_measured(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    if not DATA.is_dir():
        pytest.skip("the folder of real data is not here")
    words = ["--data", str(DATA), "--runs", str(tmp_path), "--seeds", "1", "--arm", "5 epochs", "--smoke", "--json"]
    result = CliRunner().invoke(leakage.app, words)
    leakage.use_json(False)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)["tables"]
    assert {*leakage.FIGURES} <= {*found["adult"]["5 epochs"][0]}
    assert {"shape error", "detection AUC", "closer to train", "membership"} == {*found["payments"]["5 epochs"][0]}


@pytest.mark.parametrize("words", [["--only", "cats"], ["--arm", "3 epochs"]])
def test_what_is_not_known_is_named(words: list[str], tmp_path: Path) -> None:
    result = CliRunner().invoke(leakage.app, [*words, "--runs", str(tmp_path)])
    assert words[1] in str(result.exception)
    assert "there is no" in str(result.exception)


def test_a_folder_without_the_file_is_named(tmp_path: Path) -> None:
    result = CliRunner().invoke(leakage.app, ["--data", str(tmp_path), "--runs", str(tmp_path / "runs")])
    assert "uci_adult" in str(result.exception)
