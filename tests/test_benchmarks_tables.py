"""The benchmark of tables at its smallest size."""

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import tables

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.mark.study
def test_the_epsilon_stands_beside_the_other_figures(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    if not DATA.is_dir():
        pytest.skip("the folder of real data is not here")
    words = ["--data", str(DATA), "--runs", str(tmp_path), "--smoke", "--epsilon", "8", "--json"]
    result = CliRunner().invoke(tables.app, words)
    tables.use_json(False)
    assert result.exit_code == 0, result.output
    (row,) = json.loads(result.stdout)["seeds"]
    assert row.keys() == {"epsilon", *tables.GOALS}
    assert 7.8 < row["epsilon"] <= 8


@pytest.mark.study
def test_every_figure_is_measured(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    if not DATA.is_dir():
        pytest.skip("the folder of real data is not here")
    result = CliRunner().invoke(tables.app, ["--data", str(DATA), "--runs", str(tmp_path), "--smoke", "--json"])
    tables.use_json(False)
    assert result.exit_code == 0, result.output
    (row,) = json.loads(result.stdout)["seeds"]
    assert row.keys() == tables.GOALS.keys()
    assert row["detection AUC"] > 0.8  # six steps teach little
    assert row["training, CPU-seconds"] > 1


def test_a_folder_without_the_file_is_named(tmp_path: Path) -> None:
    result = CliRunner().invoke(tables.app, ["--data", str(tmp_path), "--runs", str(tmp_path / "runs")])
    assert "uci_adult" in str(result.exception)


@pytest.mark.study
def test_an_absent_peer_is_named(tmp_path: Path) -> None:
    if not DATA.is_dir():
        pytest.skip("the folder of real data is not here")
    words = ["--data", str(DATA), "--runs", str(tmp_path), "--smoke", "--peer", f"copula={sys.executable}"]
    result = CliRunner().invoke(tables.app, words)
    assert "has no module 'sdv'" in str(result.exception)
