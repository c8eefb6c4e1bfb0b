"""Head scores of a watched run in the live view, from heads.jsonl as training writes it, whole or damaged."""

import json
from pathlib import Path

import httpx
import pytest

from lilliput.server.served import Served
from tests.runs.made_run import make_run
from tests.server.conftest import serving

LINES = [
    {"step": step, "previous": [[0.1, step / 100], [0.2, 0.1]], "induction": [[0.0, 0.1], [step / 200, 0.0]]}
    for step in (0, 10, 50, 100)
]


def seen(models: dict[str, Served], folder: Path, content: str) -> list[dict]:
    run = make_run(folder / "watched")
    (run / "heads.jsonl").write_text(content)
    with serving(models["forwards"], runs_folder=folder) as address:
        return httpx.get(f"{address.url}/runs/watched").raise_for_status().json()["heads"]


def test_the_strongest_head_of_each_kind(models: dict[str, Served], tmp_path: Path) -> None:
    previous, induction = seen(models, tmp_path, "".join(json.dumps(line) + "\n" for line in LINES))
    assert previous["head"] == "0.1"
    assert previous["points"] == [[0, 0.2], [10, 0.2], [50, 0.5], [100, 1.0]]
    assert induction["head"] == "1.0"
    assert induction["points"][-1] == [100, 0.5]
    assert "induction" in induction["kind"]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        '{"step": 1, "previous": 3}',
        '{"step": 1, "previous": [1]}',
        '{"step": 1, "previous": [["a", null, true, NaN, 1e400]]}',
        '{"step": null, "previous": [[0.5]]}',
        '{"previous": [[0.5]]}',
    ],
)
def test_damaged_scores_are_left_out(models: dict[str, Served], tmp_path: Path, content: str) -> None:
    assert seen(models, tmp_path, content) == []


def test_a_run_without_scores_has_none(models: dict[str, Served], tmp_path: Path) -> None:
    make_run(tmp_path / "plain")
    with serving(models["forwards"], runs_folder=tmp_path) as address:
        assert httpx.get(f"{address.url}/runs/plain").json()["heads"] == []
