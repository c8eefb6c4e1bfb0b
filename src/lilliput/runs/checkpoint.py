"""Checkpoints: a stock Hugging Face folder plus trainer state, written whole or not at all, verified when read."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError

from lilliput.base.damage import SEAL, set_aside, unsealed, write_sealed
from lilliput.base.disk import FULL, no_room
from lilliput.base.errors import CheckpointError, LilliputError, ModelError, TrainingError
from lilliput.base.files import read_json, sha256, sync, write_json
from lilliput.base.reading import read_object
from lilliput.runs.names import OPTIMIZER, STATE
from lilliput.runs.run_folder import RunFolder

if TYPE_CHECKING:
    from torch import nn

MANIFEST = "manifest.json"
BEFORE = ".before"
OBJECTIVE = "objective.safetensors"


@dataclass(frozen=True, slots=True)
class TrainerState:
    """The state of training beyond the weights: `tensors` (optimizer moments), `values` (counters, callbacks), and
    `modules`, the weights of the modules that an objective trains beside the model."""

    tensors: dict[str, Any]
    values: dict[str, Any]
    modules: dict[str, Any] = field(default_factory=dict)


def write(run: RunFolder, step: int, write_model: Callable[[Path], None], state: TrainerState) -> Path:
    """Write checkpoint `step`: into step-N.tmp, fsynced and hashed, then renamed. A full disk leaves the earlier
    checkpoints unchanged and raises DiskError. `write_model` reads its folder back. Where it finds another model and
    raises ModelError, the checkpoint does not count: CheckpointError is raised, and the earlier checkpoints stay."""
    from safetensors.torch import (
        save_file,
    )  # here and below: a command that only searches for a run does not need PyTorch

    final = run.checkpoint(step)
    partial = final.with_name(final.name + ".tmp")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        (partial / "trainer").mkdir(parents=True)
        write_model(partial / "model")
        save_file(state.tensors, partial / "trainer" / OPTIMIZER)
        if state.modules:
            save_file(state.modules, partial / "trainer" / OBJECTIVE)
        write_json(partial / "trainer" / STATE, state.values)
        _seal(partial)
        _put(partial, final)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise _cannot_write(run, final, error, state) from error
    except ModelError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise CheckpointError(f"{final} does not count: {error.message}{_last_good(run)}", error.hint) from error
    return final


def _seal(folder: Path) -> None:
    """Hash every file into manifest.json and force all of it to the disk."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    for path in files:
        sync(path)
    facts = {path.relative_to(folder).as_posix(): _facts(path) for path in files}
    write_sealed(folder / MANIFEST, {"files": facts})
    for path in [*(p for p in folder.rglob("*") if p.is_dir()), folder]:
        sync(path)


def _facts(path: Path) -> dict[str, Any]:
    return {"bytes": path.stat().st_size, "sha256": sha256(path)}


def _put(partial: Path, final: Path) -> None:
    """Give a whole checkpoint its name. An older checkpoint of that name is renamed to *.before, and deleted when the
    new one has the name. After a kill in between, `newest_good` gives *.before its name back."""
    before = final.with_name(final.name + BEFORE)
    if final.exists():
        shutil.rmtree(before, ignore_errors=True)
        os.replace(final, before)
    os.replace(partial, final)
    sync(final.parent)
    shutil.rmtree(before, ignore_errors=True)


def _last_good(run: RunFolder) -> str:
    kept = run.steps()
    return f"; the last good checkpoint is step {kept[-1]:,}" if kept else "; there is no earlier checkpoint"


def _cannot_write(run: RunFolder, final: Path, error: Exception, state: TrainerState) -> LilliputError:
    rest = _last_good(run)
    numbers = [error.errno] if isinstance(error, OSError) else [n for n in FULL if f"os error {n})" in str(error)]
    for number in numbers:
        if number in FULL:
            return no_room(final, _needed(run, state), number, rest)
    return TrainingError(f"cannot write {final}: {error}{rest}", "type the same command again to resume from there")


def _needed(run: RunFolder, state: TrainerState) -> int:
    """Return the bytes that a checkpoint needs: the size of the newest checkpoint. The first checkpoint needs more than
    the trainer's tensors."""
    for step in reversed(run.steps()):
        return sum(path.stat().st_size for path in run.checkpoint(step).rglob("*") if path.is_file())
    return sum(tensor.numel() * tensor.element_size() for tensor in state.tensors.values())


def verify(folder: Path) -> None:
    """Raise CheckpointError when a file of the checkpoint, its manifest among them, is missing, cannot be read, or has
    changed since it was written."""
    manifest = folder / MANIFEST
    if not manifest.is_file():
        raise CheckpointError(f"{folder} has no {MANIFEST}")
    try:
        listed = _listed(manifest)
    except PermissionError:
        raise
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{manifest} is damaged: {' '.join(str(error).split())}") from None
    for name, expected in listed.items():
        _compare(folder / name, expected)


def _listed(manifest: Path) -> dict[str, Any]:
    """Return size and hash by file. Manifests of earlier versions are not sealed, so they must list every file of the
    folder. Raises OSError and ValueError."""
    listed = read_object(manifest)
    if SEAL in listed or "files" in listed:
        return unsealed(listed)["files"]
    folder = manifest.parent
    files = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    there = {path.relative_to(folder).as_posix() for path in files} - {MANIFEST}
    if unlike := sorted(there ^ listed.keys()):
        raise ValueError(f"its list differs from the files that exist ({unlike[0]})")
    for name, facts in listed.items():
        if not isinstance(facts, dict) or {"bytes", "sha256"} - facts.keys():
            raise ValueError(f"it does not hold the size and hash of {name}")
    return listed


def _compare(path: Path, expected: dict[str, Any]) -> None:
    if not path.is_file():
        raise CheckpointError(f"{path} is missing")
    try:
        found = _facts(path)
    except PermissionError:
        raise
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}") from None
    if found["bytes"] != expected["bytes"]:
        raise CheckpointError(f"{path} has {found['bytes']:,} bytes instead of {expected['bytes']}")
    if found["sha256"] != expected["sha256"]:
        raise CheckpointError(f"{path} is damaged: its SHA-256 is not the one in {MANIFEST}")


def newest_good(run: RunFolder, notify: Callable[[str], None], move_aside: bool = False) -> Path | None:
    """Return the newest checkpoint that verifies, or None for a run without checkpoints. Damaged checkpoints are
    reported through `notify`. `move_aside`, for the process that holds the run, renames them to *.damaged, so that
    training can write their steps again; damaged files are never deleted. Raises CheckpointError when all are
    damaged."""
    if move_aside:
        _put_back(run)
    steps = run.steps()
    for step in reversed(steps):
        folder = run.checkpoint(step)
        try:
            verify(folder)
            return folder
        except CheckpointError as error:
            aside = f" (moved aside as {set_aside(folder).name})" if move_aside else ""
            notify(f"{error.message}{aside}; falling back to the checkpoint before it")
    if steps:
        again = "type the same command again to train from the start" if move_aside else "train it again"
        raise CheckpointError(f"all {len(steps)} checkpoints of {run.path} are damaged", again)
    return None


def _put_back(run: RunFolder) -> None:
    """Restore a checkpoint that a kill left as *.before while it was written again (see `_put`)."""
    for before in run.checkpoints.glob(f"step-*{BEFORE}"):
        final = before.with_name(before.name.removesuffix(BEFORE))
        if final.exists():
            shutil.rmtree(before, ignore_errors=True)
        else:
            os.replace(before, final)


def read_state(folder: Path, device: str = "cpu") -> TrainerState:
    """The trainer state of a verified checkpoint."""
    from safetensors.torch import load_file

    trainer = folder / "trainer"
    return TrainerState(
        tensors=load_file(trainer / OPTIMIZER, device=device),
        values=read_json(trainer / STATE),
        modules=read_modules(folder, device),
    )


def read_modules(folder: Path, device: str = "cpu") -> dict[str, Any]:
    """The weights of the objective's own modules in a verified checkpoint; empty without such modules."""
    from safetensors.torch import load_file

    path = folder / "trainer" / OBJECTIVE
    return load_file(path, device=device) if path.is_file() else {}


def load_module(module: nn.Module, tensors: Mapping[str, Any], name: str, folder: Path) -> None:
    """Load the stored weights of the objective's own module called `name` into the module. Raises CheckpointError where
    the checkpoint in `folder` holds other tensors than the module has."""
    stored = {key.removeprefix(f"{name}."): value for key, value in tensors.items() if key.startswith(f"{name}.")}
    wanted = module.state_dict()
    shapes = {key: tuple(value.shape) for key, value in stored.items()}
    if shapes != {key: tuple(value.shape) for key, value in wanted.items()}:
        raise CheckpointError(
            f"{folder} holds {len(stored)} tensors of the objective's module '{name}', and the {len(wanted)} of this "
            "run have other names or shapes"
        )
    module.load_state_dict(stored)


def newest_state(run: RunFolder, callback: str) -> dict[str, Any]:
    """The state of the callback called `name` in the newest good checkpoint; empty without a checkpoint."""
    try:
        folder = newest_good(run, lambda text: None)
    except CheckpointError:
        folder = None
    return read_json(folder / "trainer" / STATE)["callbacks"].get(callback, {}) if folder else {}


def prune(run: RunFolder, keep: int, protected: Callable[[int], bool]) -> None:
    """Delete all checkpoints but the newest `keep` (at least two) and the `protected` ones, and the remains of an
    interrupted write."""
    ordinary = [step for step in run.steps() if not protected(step)]
    for step in ordinary[: -max(2, keep)]:
        shutil.rmtree(run.checkpoint(step))
    for leftover in run.checkpoints.glob("*.tmp"):
        shutil.rmtree(leftover, ignore_errors=True)
