"""/runs: what training wrote, as the live view shows it."""

import json
import os
import shutil
import time
from pathlib import Path

import httpx
import pytest

from lilliput.server.run_files import METRICS_BYTES
from lilliput.server.runs import POINTS
from tests.runs.made_run import make_masked, make_run
from tests.server.conftest import Address


def view(server: Address, name: str) -> dict:
    return httpx.get(f"{server.url}/runs/{name}").raise_for_status().json()


@pytest.fixture
def fresh(runs_folder: Path) -> Path:
    """A run that is half-way: its recipe promises 600 steps, its last line is of step 300."""
    shutil.rmtree(runs_folder / "fresh", ignore_errors=True)
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


@pytest.mark.parametrize("ended", [True, False])
def test_a_run_of_another_objective_shows_its_own_figure(server: Address, runs_folder: Path, ended: bool) -> None:
    folder = make_masked(runs_folder / "filled", ended)
    try:
        run = view(server, "filled")
        assert run["val_bits_per_byte"] is None
        last = run["validation"][-1][1]
        assert run["figure"] == {"name": "val_masked_bits_per_byte", "unit": "bits a masked byte", "value": last}
        assert run["training"][0][0] == 5
        lines = {line["name"]: line for line in httpx.get(f"{server.url}/runs").json()["runs"]}
        assert lines["filled"]["figure"] == run["figure"]
        assert lines["story"]["figure"]["unit"] == "bits per byte"
        assert lines["story"]["figure"]["value"] == lines["story"]["val_bits_per_byte"]
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("summary.json", '{"figure": {"unit": "\\ud800"}}'),
        ("summary.json", '{"figure": {"unit": "' + "x" * 10_000 + '"}}'),
        ("summary.json", '{"figure": {"unit": ["x"]}}'),
        ("summary.json", '{"figure": 3}'),
        ("recipe.yaml", "objective: {kind: [x]}"),
        ("recipe.yaml", "objective: {kind: masked, 1: 2}"),
        ("recipe.yaml", "figure: {unit: miles}"),
    ],
)
def test_a_hostile_figure_is_passed_over(server: Address, fresh: Path, file: str, content: str) -> None:
    (fresh / file).write_text(content)
    assert view(server, "fresh")["figure"]["unit"] == "bits per byte"
    assert httpx.get(f"{server.url}/runs").status_code == 200


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


HOSTILE_LINES = (
    b'{"step": 1' + b"0" * 5000 + b"}",  # more digits than Python reads
    b'{"step": 1' + b"0" * 400 + b', "val_bits_per_byte": 2}',  # more than a float holds
    b'{"step": 1e999, "seconds": -1e308, "tokens": NaN, "val_bits_per_byte": Infinity}',
    b'{"step": [], "seconds": {}, "tokens": "many", "bits_per_byte": true}',
    b"[" * 100_000,
    b'{"a": ' * 100_000,
    b"\xff\xfe\x00",
    b"[1, 2]",
    b"",
    b'{"step": 7, "seconds": 1e308, "tokens": 1e300, "tokens_per_second": "\\ud800", "\\ud800": 1}',
)


@pytest.mark.parametrize("last", range(len(HOSTILE_LINES)))
def test_a_hostile_line_of_metrics_is_passed_over(server: Address, fresh: Path, last: int) -> None:
    """Whichever of them comes last, the run is shown with what is whole of it."""
    whole = (fresh / "metrics.jsonl").read_bytes().rpartition(b"\n")[0]
    lines = [*HOSTILE_LINES[last + 1 :], *HOSTILE_LINES[: last + 1]]
    (fresh / "metrics.jsonl").write_bytes(b"\n".join([whole, *lines]))
    assert {"story", "fresh"} <= {run["name"] for run in httpx.get(f"{server.url}/runs").json()["runs"]}
    run = view(server, "fresh")
    assert run["training"][0][0] == 5
    assert run["validation"][-1][0] == 300


def test_a_line_in_the_middle_that_is_damaged_hides_none_behind_it(server: Address, fresh: Path) -> None:
    before = view(server, "fresh")["validation"]
    lines = (fresh / "metrics.jsonl").read_bytes().splitlines()
    lines[3] = lines[3][:10] + b"\xff" + lines[3][11:]
    (fresh / "metrics.jsonl").write_bytes(b"\n".join(lines))
    assert view(server, "fresh")["validation"][-1] == before[-1]


BAD_FILES = {
    "a FIFO": lambda path: os.mkfifo(path),
    "a folder": lambda path: path.mkdir(),
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "not JSON": lambda path: path.write_bytes(bytes(range(256)) * 100),
    "null": lambda path: path.write_bytes(b"null\n"),
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_a_folder_that_cannot_be_read_hides_no_other(server: Address, runs_folder: Path, kind: str) -> None:
    bad = runs_folder / "bad"
    bad.mkdir()
    try:
        BAD_FILES[kind](bad / "metrics.jsonl")
        answer = httpx.get(f"{server.url}/runs", timeout=10).raise_for_status().json()
        assert "story" in {run["name"] for run in answer["runs"]}
        (texts,) = [one for one in answer["unread"] if one["name"] == "bad"]
        assert texts["reason"].startswith("metrics.jsonl")
        refused = httpx.get(f"{server.url}/runs/bad", timeout=10)
        assert (refused.status_code, "cannot be read" in refused.json()["error"]["message"]) == (404, True)
    finally:
        shutil.rmtree(bad)


@pytest.mark.parametrize("file", ["recipe.yaml", "samples.md", "summary.json"])
@pytest.mark.parametrize("kind", [kind for kind in BAD_FILES if kind != "null"])
def test_a_bad_file_beside_the_metrics_hides_no_curve(server: Address, fresh: Path, file: str, kind: str) -> None:
    (fresh / file).unlink(missing_ok=True)
    BAD_FILES[kind](fresh / file)
    run = view(server, "fresh")
    assert run["validation"][-1][0] == 300
    if file == "recipe.yaml":
        assert (run["fraction"], run["eta"]) == (None, None)
    shutil.rmtree(fresh)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("recipe.yaml", b"a: &a [x, x]\nb: &b [*a, *a]\ntrain: {steps: 600, c: [*b, *b]}"),
        ("recipe.yaml", b"train: &t {steps: *t}"),
        ("recipe.yaml", b"[" * 60_000),
        ("recipe.yaml", b"train: {steps: 1" + b"0" * 5000 + b"}"),
        ("recipe.yaml", b"- train"),
        ("recipe.yaml", b"train: {steps: -5}"),
        ("samples.md", b"## step 1" + b"0" * 5000 + b" (tokens 1, 1.0 s)\n\n**a** b\n\n"),
        ("samples.md", b"## step 1 (tokens ,,, 1.0.0 s)\n\n**a** b\n\n"),
        ("samples.md", b"\xff" * 1000),
    ],
)
def test_a_hostile_recipe_or_samples_hide_no_curve(server: Address, fresh: Path, file: str, content: bytes) -> None:
    (fresh / file).write_bytes(content)
    run = view(server, "fresh")
    assert run["validation"][-1][0] == 300
    assert (run["eta"] if file == "recipe.yaml" else run["samples_step"]) is None


def test_a_name_that_is_no_text_is_shown_all_the_same(server: Address, runs_folder: Path) -> None:
    odd = Path(os.fsdecode(os.fsencode(runs_folder) + b"/odd\xff"))
    try:
        make_run(odd)
        names = [run["name"] for run in httpx.get(f"{server.url}/runs").raise_for_status().json()["runs"]]
        assert "odd\\udcff" in names
        assert view(server, "odd\\udcff")["state"] == "finished"
    finally:
        shutil.rmtree(odd)


def test_of_huge_metrics_the_end_is_read(server: Address, fresh: Path) -> None:
    with open(fresh / "metrics.jsonl", "rb+") as file:
        whole = file.read().rpartition(b"\n")[0] + b"\n"
        file.truncate(0)
        file.seek(METRICS_BYTES * 4)  # a hole: it takes no room on the disk
        file.write(b"\n" + whole)
    assert view(server, "fresh")["step"] == 300
