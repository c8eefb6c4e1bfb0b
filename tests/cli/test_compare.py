"""`lilliput compare` on made-up runs."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tests.lab.test_comparison import made
from tests.runs.made_run import make_masked


@pytest.fixture
def runs(tmp_path: Path) -> list[str]:
    for name, seed, width, shift in (("a-1", 1, 64, 0.1), ("a-2", 2, 64, 0.12), ("b", 1, 128, 0.0)):
        made(tmp_path / "runs", name, seed, width, shift)
    return ["a-1", "a-2", "b"]


def test_it_prints_a_table_and_writes_a_page(command: Command, runs: list[str], tmp_path: Path) -> None:
    result = command("compare", *runs)
    assert result.code == 0
    assert result.out.startswith("| model | bits per byte |")
    assert "± " in result.out
    assert result.out.endswith("compare.html\n")
    assert "b has the lowest score" in (tmp_path / "compare.html").read_text()


def test_its_options_act(command: Command, runs: list[str], tmp_path: Path) -> None:
    result = command("compare", *runs, "--output", "out/page.html", "--level", "1.5", "--level", "1.2", "--json")
    values = json.loads(result.out)
    assert values["page"] == "out/page.html"
    assert [level["val_bits_per_byte"] for level in values["groups"][0]["reaches"]] == [1.5, 1.2]
    assert (tmp_path / "out" / "page.html").exists()
    assert not (tmp_path / "compare.html").exists()


def test_bad_input_is_one_line(command: Command, runs: list[str]) -> None:
    assert command("compare", "a-1").err.startswith("error: 1 different runs to compare")
    make_masked(Path("runs") / "filled")
    different = command("compare", "a-1", "filled")
    assert different.code == 2
    assert different.err.startswith("error: these runs are judged by different figures: a-1 by bits per byte; ")
    unknown = command("compare", "a-1", "c")
    assert (unknown.code, unknown.err.split("\n")[0]) == (2, "error: there is no run or model folder 'c'")
