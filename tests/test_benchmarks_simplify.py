"""The benchmark of simplification: paragraphs that belong together are paired, and every arm is measured."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import simplify

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def test_paragraphs_are_paired_in_order_by_shared_words() -> None:
    long = [
        "A title that is gone.",
        "The large dog ran quickly home.",
        "It rained a lot.",
        "He slept in the warm house.",
    ]
    short = ["The dog ran home.", "A line of its own, quite new.", "He slept in the house."]
    assert simplify.aligned(long, short) == [(long[1], short[0]), (long[3], short[2])]
    assert simplify.aligned([], short) == []
    crossed = simplify.aligned(["one two three", "four five six"], ["four five six", "one two three"])
    assert len(crossed) == 1  # the order is kept


@pytest.mark.study
def test_every_arm_is_measured(tmp_path: Path) -> None:
    if not DATA.is_dir():
        pytest.skip("the folder of real data is not here")
    found = simplify.pairs(simplify.Study(DATA, tmp_path))
    assert len(found) > 2000
    assert all(row["source"].startswith("simplify: ") and row["target"] for row in found)
    words = [sum(len(row[key].split()) for row in found) for key in ("source", "target")]
    assert words[1] < 0.95 * words[0]  # it is shorter for beginners
    result = CliRunner().invoke(simplify.app, ["--data", str(DATA), "--runs", str(tmp_path), "--smoke", "--json"])
    simplify.use_json(False)
    arms = json.loads(result.stdout)["arms"]
    assert list(arms) == list(simplify.ARMS)
    assert all(0 < one["target_bits_per_byte"] < 20 for each in arms.values() for one in each)
    assert all(0 < one["with_another_source"] < 20 for each in arms.values() for one in each)


def test_a_folder_without_the_file_is_named(tmp_path: Path) -> None:
    result = CliRunner().invoke(simplify.app, ["--data", str(tmp_path), "--runs", str(tmp_path / "runs")])
    assert "onestopenglish" in str(result.exception)
