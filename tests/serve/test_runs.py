"""/runs: what training wrote, as the live view shows it."""

import json
import os
import time
from pathlib import Path

import httpx
import pytest

from lilliput.serve.runs import POINTS
from tests.lab.made_run import make_run
from tests.serve.conftest import Address


def view(server: Address, name: str) -> dict:
    return httpx.get(f"{server.url}/runs/{name}").raise_for_status().json()


@pytest.fixture
def fresh(runs_folder: Path) -> Path:
    """A run that is half-way: its recipe promises 600 steps, its last line is of step 300."""
    folder = make_run(runs_folder / "fresh")
    (folder / "summary.json").unlink()
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    half = [line for line in lines if json.loads(line)["step"] <= 300]
    (folder / "metrics.jsonl").write_text("\n".join(half) + '\n{"step": 305, "cut sho')
    return folder


def test_a_run_in_training_has_a_curve_samples_and_an_eta(server: Address, fresh: Path) -> None:
    run = view(server, "fresh")
    assert (run["state"], run["step"], run["fraction"]) == ("running", 300, 0.5)
    assert run["eta"] == pytest.approx(run["seconds"])
    assert run["training"][0][0] == 5
    assert run["validation"][-1][0] == 300
    assert run["val_bits_per_byte"] == run["validation"][-1][1]
    assert run["samples_step"] == 600
    assert run["samples"][0]["prompt"] == "Once upon a time,"
    assert "Lily" in run["samples"][0]["text"]


def test_a_run_that_has_been_quiet_is_taken_for_stopped(server: Address, fresh: Path) -> None:
    past = time.time() - 3600
    os.utime(fresh / "metrics.jsonl", (past, past))
    run = view(server, "fresh")
    assert (run["state"], run["eta"]) == ("stopped", None)


@pytest.mark.parametrize("recipe", [None, "train: []", "train: {epochs: 3}", ": :"])
def test_without_a_known_budget_there_is_a_curve_and_no_eta(server: Address, fresh: Path, recipe: str | None) -> None:
    (fresh / "recipe.yaml").unlink() if recipe is None else (fresh / "recipe.yaml").write_text(recipe)
    run = view(server, "fresh")
    assert (run["fraction"], run["eta"]) == (None, None)
    assert run["training"]


def test_a_finished_run_and_numbers_that_are_none(server: Address, fresh: Path) -> None:
    (fresh / "summary.json").write_text("{}")
    with open(fresh / "metrics.jsonl", "w") as file:
        for step in range(1000):
            file.write(json.dumps({"step": step, "bits_per_byte": float("nan") if step % 2 else 3.0}) + "\n")
    run = view(server, "fresh")
    assert (run["state"], run["fraction"]) == ("finished", 1.0)
    assert run["val_bits_per_byte"] is None
    assert len(run["training"]) == POINTS
    assert run["training"][-1] == [998, 3.0]


def test_runs_are_listed_and_nothing_else(server: Address, runs_folder: Path, fresh: Path) -> None:
    (runs_folder / "empty").mkdir(exist_ok=True)
    (runs_folder / "foreign").mkdir(exist_ok=True)
    (runs_folder / "foreign" / "metrics.jsonl").write_bytes(b"\xff\xfe\n")
    listed = httpx.get(f"{server.url}/runs").json()["runs"]
    assert {run["name"] for run in listed} == {"story", "fresh"}
    for name in ("empty", "foreign", "%2e%2e", "..%2Fruns", "%2Fetc", "fresh%2Fcheckpoints", "%00"):
        answer = httpx.get(f"{server.url}/runs/{name}")
        assert answer.status_code == 404, name
        assert answer.json()["error"]["type"] == "invalid_request_error"
