"""`lilliput experiments` with real training runs."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import TINY, Command
from tests.runs.made_run import make_masked

SMALL = [*TINY, "train.steps=3", "evaluate.steps=3", "evaluate.final_tokens=600"]


def write_queue(folder: Path, tales: Path) -> Path:
    (folder / "good.yaml").write_text(f"data: {{sources: [{{kind: text, paths: ['{tales}']}}]}}\n")
    (folder / "queue.yaml").write_text(
        "experiments:\n  - name: first   # of two\n    config: good.yaml\n"
        f"    overrides: {json.dumps(SMALL)}\n    devices: cpu\n    environment: {{OMP_NUM_THREADS: 1}}\n"
        "  - name: second\n    config: missing.yaml\n"
    )
    return folder / "queue.yaml"


@pytest.mark.usefixtures("peaks")
def test_a_queue_is_trained_to_its_end(command: Command, tmp_path: Path, tales: Path) -> None:
    write_queue(tmp_path, tales)
    queue = ("--file", "queue.yaml")
    assert command("experiments", "list", *queue).out.split() == ["first", "todo", "good.yaml", "second", "todo",
                                                                   "missing.yaml"]  # fmt: skip
    result = command("experiments", "run-all", *queue, "--json")
    assert result.code == 1, result.err
    first, second = json.loads(result.out)["outcomes"]
    assert (first["name"], first["status"], first["exit_code"]) == ("first", "done", 0)
    assert (second["status"], second["exit_code"]) == ("failed", 2)
    assert second["reason"].startswith("cannot read missing.yaml")
    assert (tmp_path / "runs" / "first" / "report.html").exists()
    assert "name: first   # of two\n" in (tmp_path / "queue.yaml").read_text()

    rows = json.loads(command("experiments", "list", *queue, "--json").out)["experiments"]
    assert rows[0]["figure"]["value"] == rows[0]["val_bits_per_byte"]
    assert (rows[1]["figure"], rows[1]["val_bits_per_byte"]) == (None, None)
    summary = json.loads((tmp_path / "runs" / "first" / "summary.json").read_text())
    assert rows[0]["val_bits_per_byte"] == summary["val_bits_per_byte"]
    shown = command("experiments", "list", *queue).out
    assert f"{summary['val_bits_per_byte']:.3f} bits per byte" in shown
    assert "cannot read missing.yaml" in shown

    assert command("experiments", "run-next", *queue).out == "no experiment has the status todo\n"
    assert command("experiments", "retry", *queue).out == "second  todo\n"


def test_what_cannot_be_done_is_one_line(command: Command, tmp_path: Path) -> None:
    missing = command("experiments", "list")
    assert (missing.code, missing.out) == (2, "")
    assert missing.err.startswith(f"error: there is no {tmp_path / 'experiments.yaml'}\n")
    (tmp_path / "experiments.yaml").write_text("- {name: a, config: x}\n")
    unknown = command("experiments", "run", "b")
    assert (unknown.code, unknown.err.split("\n")[0]) == (2, "error: experiments.yaml has no experiment 'b'")


def test_a_run_of_another_objective_is_listed_with_its_own_figure(command: Command, tmp_path: Path) -> None:
    (tmp_path / "queue.yaml").write_text("- {name: filled, config: filled.yaml}\n")
    summary = json.loads((make_masked(tmp_path / "runs" / "filled") / "summary.json").read_text())
    queue = ("--file", "queue.yaml")
    (row,) = json.loads(command("experiments", "list", *queue, "--json").out)["experiments"]
    value = summary["val_masked_bits_per_byte"]
    assert row["val_bits_per_byte"] is None
    assert row["figure"] == {"name": "val_masked_bits_per_byte", "unit": "bits a masked byte", "value": value}
    assert f"{value:.3f} bits a masked byte" in command("experiments", "list", *queue).out
