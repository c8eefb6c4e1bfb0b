"""How long threads spin before they sleep: by what else runs, and never over what the person set."""

from pathlib import Path

import pytest

from lilliput.base.runtime.spin import SPINS_ALONE, SPINS_BESIDE_OTHERS, waiting, waiting_environment


@pytest.fixture
def load(tmp_path: Path) -> Path:
    return tmp_path / "loadavg"


@pytest.mark.parametrize(("running", "turns"), [(1, SPINS_ALONE), (2, SPINS_BESIDE_OTHERS), (9, SPINS_BESIDE_OTHERS)])
def test_fewer_turns_beside_others(load: Path, running: int, turns: int):
    load.write_text(f"0.52 0.40 0.33 {running}/512 4711\n")
    assert waiting_environment({}, load) == {"GOMP_SPINCOUNT": str(turns)}


def test_what_runs_for_a_moment_only_does_not_count(load: Path, monkeypatch: pytest.MonkeyPatch):
    seen = iter([3, 2, 1])
    monkeypatch.setattr(Path, "read_text", lambda path: f"0.52 0.40 0.33 {next(seen)}/512 4711\n")
    assert waiting_environment({}, load) == {"GOMP_SPINCOUNT": str(SPINS_ALONE)}


def test_a_system_that_does_not_report_counts_as_quiet(load: Path):
    assert waiting_environment({}, load) == {"GOMP_SPINCOUNT": str(SPINS_ALONE)}


@pytest.mark.parametrize("name", ["GOMP_SPINCOUNT", "OMP_WAIT_POLICY"])
def test_what_the_person_set_stays(load: Path, name: str):
    assert waiting_environment({name: "7"}, load) == {}


def test_in_words():
    assert waiting({"GOMP_SPINCOUNT": "1000"}) == "1000 turns of a loop, then asleep (GOMP_SPINCOUNT)"
    assert waiting({"OMP_WAIT_POLICY": "PASSIVE"}) == "asleep (OMP_WAIT_POLICY)"
    assert waiting({"OMP_WAIT_POLICY": "active"}) == "in a loop (OMP_WAIT_POLICY)"
