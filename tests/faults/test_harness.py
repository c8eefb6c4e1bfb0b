"""The harness sees every way in which a fault can end badly; all parts are all cases, each once."""

import ctypes
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lilliput.base.errors import DataError
from tests.faults.harness import PARTS, Build, Case, Lost, command, part, refused
from tests.faults.table import SEED, default_seed


def _refuses(folder: Path) -> None:
    raise DataError("it is damaged")


def _loses(folder: Path) -> None:
    raise Lost("a step is gone")


def _spins(folder: Path) -> None:
    while True:
        pass


def _fills(folder: Path) -> None:
    held = [bytearray(2**24) for _ in range(16)]
    time.sleep(0.2)
    assert held


def _checks_the_base(built: Path) -> None:
    assert (built / "made").read_text() == "once"


def _commands(folder: Path) -> None:
    code, out, _ = command("--version")
    assert code == 0
    assert out.startswith("lilliput ")
    assert "there is no" in refused("report", "nowhere")


def _commands_badly(folder: Path) -> None:
    sys.modules["lilliput.cli.app"].__dict__["app"] = lambda: [][1]
    command("--version")


def cases(build: Build) -> list[Case]:
    """What the test below runs; the group is how it is to end."""
    built = build("base", lambda folder: (folder / "made").write_text("once"))
    return [
        Case("ok", "good", lambda folder: (folder / "note").write_text("x")),
        Case("ok", "refused", _refuses),
        Case("ok", "built", lambda folder: _checks_the_base(built)),
        Case("ok", "command", _commands),
        Case("lost", "lost", _loses),
        Case("lost", "an accepted command", lambda folder: refused("--version")),
        Case("traceback", "traceback", lambda folder: [][1]),
        Case("traceback", "a command's traceback", _commands_badly),
        Case("traceback", "crash", lambda folder: ctypes.string_at(0)),
        Case("traceback", "exit", lambda folder: os._exit(0)),
        Case("hang", "spin", _spins, seconds=1),
        Case("hang", "sleep", lambda folder: time.sleep(60), seconds=0.1),
        Case("memory", "fill", _fills, memory=2**26),
        Case("memory", "fill a little over", lambda folder: b"x" * (80 * 2**20), memory=2**26),
    ]


def test_every_ending_is_seen(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.faults", "--from", __name__, "--json", str(tmp_path / "outcomes.json")]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    outcomes = json.loads((tmp_path / "outcomes.json").read_text())
    assert len(outcomes) == 14
    assert [one for one in outcomes if one["kind"] != one["group"]] == [], done.stdout
    assert done.returncode == 1
    assert done.stdout.splitlines()[-2].split() == ["all", "14", "2", "4", "2", "2"]


def test_seeds_in_a_row_are_all_cases() -> None:
    every = [Case("group", f"case {number}", lambda folder: None) for number in range(50 * PARTS)]
    parts = [part(every, seed) for seed in range(20, 20 + PARTS)]
    assert sorted(case.name for each in parts for case in each) == sorted(case.name for case in every)
    assert all(25 < len(each) < 80 for each in parts)


def test_the_seed_can_be_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SEED, "7")
    assert default_seed() == 7
    monkeypatch.delenv(SEED)
    assert default_seed() >= 0
