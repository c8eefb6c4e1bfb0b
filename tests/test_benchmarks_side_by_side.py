"""Work side by side: order, results, what is printed, and a piece that fails."""

import os
import time
from functools import partial
from pathlib import Path

import pytest

from lilliput.base.errors import LilliputError
from side_by_side import Piece, do_all, ordered


def _noted(name: str, folder: Path, needs: tuple[str, ...] = ()) -> tuple[int, str]:
    """Print, check that what was needed has ended, and return this process with its threads."""
    print(f"this is {name}", flush=True)
    time.sleep(0.5 if name == "left" else 0)
    assert all((folder / f"{one}.done").exists() for one in needs)
    (folder / f"{name}.done").touch()
    return os.getpid(), os.environ.get("OMP_NUM_THREADS", "")


def _failing() -> None:
    raise LilliputError("no such thing")


def _pieces(folder: Path) -> list[Piece]:
    needs = {"last": ("left", "right"), "left": ("first",), "right": ("first",), "first": ()}
    return [
        Piece(name, partial(_noted, name, folder, given), folder / f"{name}.log", given)
        for name, given in needs.items()
    ]


def test_pieces_come_after_all_that_they_need(tmp_path: Path) -> None:
    assert [piece.name for piece in ordered(_pieces(tmp_path))] == ["first", "left", "right", "last"]
    with pytest.raises(LilliputError, match="needs that nothing meets: lonely"):
        ordered([Piece("lonely", _failing, tmp_path / "log", ("nobody",))])


def test_processes_share_the_cores_and_print_into_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    found = do_all(_pieces(tmp_path), at_once=2)
    assert list(found) == ["last", "left", "right", "first"]  # as they were given, and not as they ended
    assert all(pid != os.getpid() and int(threads) >= 1 for pid, threads in found.values())
    assert "OMP_NUM_THREADS" not in os.environ
    assert all((tmp_path / f"{name}.log").read_text() == f"this is {name}\n" for name in found)
    printed = "".join(capfd.readouterr())
    assert "this is" not in printed
    assert "last: done in" in printed


def test_a_single_process_is_this_one(tmp_path: Path) -> None:
    assert {pid for pid, _ in do_all(_pieces(tmp_path), at_once=1).values()} == {os.getpid()}


@pytest.mark.parametrize("at_once", [1, 2])
def test_what_a_piece_raises_is_raised(at_once: int, tmp_path: Path) -> None:
    with pytest.raises(LilliputError, match="no such thing"):
        do_all([Piece("failing", _failing, tmp_path / "log")], at_once)
