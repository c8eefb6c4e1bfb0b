"""A disk without room between checkpoints: the file, what it needs and how to go on; only steps since then are lost."""

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lilliput.base import disk, files
from lilliput.base.errors import DiskError, LilliputError
from tests.training.test_trainer import StopAt, equal, trainer, weights


@contextmanager
def no_file_longer_than(limit: int) -> Iterator[None]:
    """As a full disk refuses them: with an error from the system in the midst of a write."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_metrics_without_room_end_the_run_and_it_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    whole = trainer(tmp_path / "whole", dropout=0.1)
    whole.train()
    limits: list[int] = []

    def fill(t) -> None:  # type: ignore[no-untyped-def]
        limits.append(t.run.metrics.stat().st_size + 10)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limits[0], resource.getrlimit(resource.RLIMIT_FSIZE)[1]))

    t = trainer(tmp_path / "run", dropout=0.1, callbacks=[StopAt(6, fill)])
    with no_file_longer_than(resource.RLIM_INFINITY), pytest.raises(DiskError) as caught:
        t.train()
    assert "metrics.jsonl: the file size limit (ulimit -f) is reached; it needs" in str(caught.value)
    assert "same command again" in (caught.value.hint or "")
    assert t.run.steps() == [4]
    assert [record["step"] for record in t.run.read_metrics()] == [1, 2, 3, 4, 5]
    assert t.run.metrics.read_bytes().endswith(b"\n")  # nothing half written
    resumed = trainer(tmp_path / "run", dropout=0.1, resume=True)
    assert resumed.train().text == "finished"
    assert equal(weights(resumed), weights(whole))
    assert [record["step"] for record in resumed.run.read_metrics()] == list(range(1, 13))


def test_a_checkpoint_without_room_names_its_size_and_the_one_before(tmp_path: Path) -> None:
    t = trainer(tmp_path, steps=8)

    def fill(_) -> None:  # type: ignore[no-untyped-def]
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))

    t.callbacks.append(StopAt(5, fill))
    with no_file_longer_than(resource.RLIM_INFINITY), pytest.raises(DiskError) as caught:
        t.train()
    held = sum(path.stat().st_size for path in t.run.checkpoint(4).rglob("*") if path.is_file())
    assert "step-0000008" in caught.value.message
    assert f"it needs {disk.size(held)}, of which" in caught.value.message
    assert "the last good checkpoint is step 4" in caught.value.message
    assert [entry.name for entry in t.run.checkpoints.iterdir()] == ["step-0000004"]


def test_a_file_without_room_stays_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    files.write_json(path, {"step": 1})
    before = path.read_text()
    with (
        no_file_longer_than(100),
        pytest.raises(DiskError, match=r"summary.json: .* needs 2,\d+ bytes, of which .* free"),
    ):
        files.write_json(path, {"step": "2" * 2000})
    assert path.read_text() == before
    assert os.listdir(tmp_path) == ["summary.json"]


@pytest.mark.parametrize("number", disk.FULL)
def test_every_kind_of_no_room_is_named(number: int, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="cannot write") as caught, disk.writing(tmp_path / "x", 3):
        raise OSError(number, "no room")
    assert isinstance(caught.value, LilliputError)
    assert caught.value.errno == number
    with pytest.raises(PermissionError), disk.writing(tmp_path / "x", 3):
        raise PermissionError(errno.EACCES, "not yours")
