"""Checkpoints are whole or absent, damage is found and named, and nothing good is ever lost."""

import errno
import json
import os
import shutil
from pathlib import Path

import pytest
import torch

from lilliput.base.errors import CheckpointError, DiskError, ModelError
from lilliput.runs import checkpoint
from lilliput.runs.checkpoint import TrainerState
from lilliput.runs.run_folder import RunFolder


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "run")


def model_writer(text: str = "weights"):
    def write(folder: Path) -> None:
        folder.mkdir()
        (folder / "model.safetensors").write_text(text)

    return write


def save(run: RunFolder, step: int) -> Path:
    state = TrainerState({"w.exp_avg": torch.full((3,), float(step))}, {"step": step})
    return checkpoint.write(run, step, model_writer(f"weights {step}"), state)


def test_round_trip(run: RunFolder) -> None:
    folder = save(run, 7)
    checkpoint.verify(folder)
    state = checkpoint.read_state(folder)
    assert state.values == {"step": 7}
    assert state.tensors["w.exp_avg"].tolist() == [7, 7, 7]
    assert run.steps() == [7]


FILES = ["model/model.safetensors", "trainer/state.json", "trainer/optimizer.safetensors", "manifest.json"]
MANIFESTS = ["", "[]", "null", "{}", "7", '{"files": {}}', "[" * 100_000, "\0" * 50]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("harm", ["flip", "truncate", "remove"])
def test_damage_is_found_and_the_one_before_is_used(run: RunFolder, name: str, harm: str) -> None:
    good, bad = save(run, 1), save(run, 2)
    path = bad / name
    content = bytearray(path.read_bytes())
    if harm == "flip":
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    elif harm == "truncate":
        path.write_bytes(content[:-2])  # a newline at the end alone changes nothing
    else:
        path.unlink()
    printed: list[str] = []
    assert checkpoint.newest_good(run, printed.append, move_aside=True) == good
    assert path.name in printed[0]
    assert (run.checkpoints / "step-0000002.damaged").is_dir()
    assert run.steps() == [1]


@pytest.mark.parametrize("content", MANIFESTS)
def test_a_manifest_that_states_something_else_is_damage(run: RunFolder, content: str) -> None:
    good = save(run, 1)
    (save(run, 2) / "manifest.json").write_text(content)
    printed: list[str] = []
    assert checkpoint.newest_good(run, printed.append, move_aside=True) == good
    assert "manifest.json is damaged" in printed[0]
    assert "moved aside as step-0000002.damaged" in printed[0]


def test_an_entry_of_the_manifest_that_changes_is_damage(run: RunFolder) -> None:
    manifest = save(run, 1) / "manifest.json"
    written = json.loads(manifest.read_text())
    for change in ({"files": {}}, {"files": dict(list(written["files"].items())[1:])}, {"content_sha256": "0"}):
        manifest.write_text(json.dumps({**written, **change}))
        with pytest.raises(CheckpointError, match="is damaged: its content differs from the content that was written"):
            checkpoint.verify(manifest.parent)
    manifest.write_text(json.dumps(written))
    checkpoint.verify(manifest.parent)


def test_a_checkpoint_of_an_earlier_version_is_read_where_its_manifest_lists_what_is_there(run: RunFolder) -> None:
    folder = save(run, 1)
    files = json.loads((folder / "manifest.json").read_text())["files"]
    (folder / "manifest.json").write_text(json.dumps(files))
    checkpoint.verify(folder)
    assert checkpoint.newest_good(run, lambda text: None) == folder
    for less in ({}, dict(list(files.items())[1:]), {**files, "more": files["model/model.safetensors"]}):
        (folder / "manifest.json").write_text(json.dumps(less))
        with pytest.raises(CheckpointError, match="its list differs from the files"):
            checkpoint.verify(folder)
    (folder / "manifest.json").write_text(json.dumps(dict.fromkeys(files, 1)))
    with pytest.raises(CheckpointError, match="does not hold the size and hash"):
        checkpoint.verify(folder)


def test_a_step_written_again_keeps_the_one_before_until_it_is_there(run: RunFolder, monkeypatch) -> None:
    good = save(run, 1)
    replace = os.replace

    def killed_before(source: Path, target: Path) -> None:
        if source.name.endswith(".tmp") and source.is_dir():
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr("lilliput.runs.checkpoint.os.replace", killed_before)
    with pytest.raises(KeyboardInterrupt):
        checkpoint.write(run, 1, model_writer("again"), TrainerState({}, {}))
    monkeypatch.undo()
    assert checkpoint.newest_good(run, lambda text: None, move_aside=True) == good
    assert (good / "model" / "model.safetensors").read_text() == "weights 1"
    checkpoint.write(run, 1, model_writer("again"), TrainerState({}, {}))
    assert (good / "model" / "model.safetensors").read_text() == "again"
    assert [entry.name for entry in run.checkpoints.glob("step*")] == ["step-0000001"]


def test_reading_moves_nothing(run: RunFolder) -> None:
    save(run, 1)
    (save(run, 2) / "manifest.json").unlink()
    assert checkpoint.newest_good(run, lambda text: None) == run.checkpoint(1)
    assert run.steps() == [1, 2]


def test_all_damaged_is_an_error_and_keeps_them(run: RunFolder) -> None:
    for step in (1, 2):
        (save(run, step) / "model" / "model.safetensors").write_text("?")
    with pytest.raises(CheckpointError, match="all 2 checkpoints"):
        checkpoint.newest_good(run, lambda text: None, move_aside=True)
    assert len(list(run.checkpoints.glob("*.damaged"))) == 2


def test_damage_twice_over_at_one_step_keeps_both(run: RunFolder) -> None:
    save(run, 1)
    for _ in range(2):
        (save(run, 2) / "manifest.json").unlink()
        checkpoint.newest_good(run, lambda text: None, move_aside=True)
    assert sorted(p.name for p in run.checkpoints.glob("step-0000002*")) == [
        "step-0000002.damaged",
        "step-0000002.damaged2",
    ]


def test_a_full_disk_leaves_what_was_saved(run: RunFolder) -> None:
    save(run, 1)

    def fails_half_way(folder: Path) -> None:
        folder.mkdir()
        (folder / "model.safetensors").write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(DiskError, match=r"step-0000002: the disk is full; it needs .* last good .* step 1") as caught:
        checkpoint.write(run, 2, fails_half_way, TrainerState({}, {}))
    assert "same command" in (caught.value.hint or "")
    assert [entry.name for entry in run.checkpoints.iterdir()] == ["step-0000001"]
    checkpoint.verify(run.checkpoint(1))


def test_a_folder_that_reads_back_as_another_model_does_not_count(run: RunFolder) -> None:
    save(run, 1)

    def another(folder: Path) -> None:
        model_writer()(folder)
        raise ModelError(f"{folder}, read back, is another model", "remove the hooks")

    with pytest.raises(CheckpointError, match=r"step-0000002 does not count: .*another model; the last good .* step 1"):
        checkpoint.write(run, 2, another, TrainerState({}, {}))
    assert [entry.name for entry in run.checkpoints.iterdir()] == ["step-0000001"]
    checkpoint.verify(run.checkpoint(1))


def test_an_interrupted_write_is_not_a_checkpoint(run: RunFolder) -> None:
    save(run, 1)
    shutil.copytree(run.checkpoint(1), run.checkpoints / "step-0000002.tmp")
    assert run.steps() == [1]
    save(run, 3)
    checkpoint.prune(run, 2, lambda step: False)
    assert sorted(entry.name for entry in run.checkpoints.iterdir()) == ["step-0000001", "step-0000003"]


def test_pruning_keeps_the_newest_and_the_protected(run: RunFolder) -> None:
    for step in range(1, 7):
        save(run, step)
    checkpoint.prune(run, 2, lambda step: step in (1, 2))
    assert run.steps() == [1, 2, 5, 6]


def test_no_run_has_no_checkpoint(run: RunFolder) -> None:
    assert checkpoint.newest_good(run, lambda text: None) is None
