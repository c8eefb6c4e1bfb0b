"""Finding: the folder of a run's name, a checkpoint or a Hugging Face model on disk, and the model folder in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from lilliput.base.errors import CheckpointError, nearest
from lilliput.runs import checkpoint
from lilliput.runs.names import ADAPTER, CHECKPOINTS
from lilliput.runs.run_folder import RunFolder

RUNS = Path("runs")


def find(path: str | Path) -> Path:
    """Return an existing folder as it is given, else runs/<name>. Raises CheckpointError with the runs that exist."""
    given = Path(path)
    for candidate in (given, RUNS / given):
        if candidate.is_dir():
            return candidate
    known = sorted(entry.name for entry in RUNS.iterdir() if entry.is_dir()) if RUNS.is_dir() else []
    raise CheckpointError(
        f"there is no run or model folder '{path}'{nearest(str(path), known)}",
        f"runs here: {', '.join(known)}" if known else "train one first: lilliput train story",
    )


def inside(path: str | Path, name: str) -> Path | None:
    """Return the file or folder `name` of a run, which is given itself, or by a checkpoint or its model; None without
    one."""
    found = find(path).absolute()
    places = (each / name for each in (found, *found.parents[:3]))
    return next((place for place in places if place.exists()), None)


def model_folder(path: str | Path, notify: Callable[[str], None]) -> Path:
    """Return the stock model folder of a run (its newest good checkpoint), of a checkpoint, or the folder itself.
    Raises CheckpointError for another folder, and for a run without a whole checkpoint."""
    folder = find(path)
    if (folder / "adapter_config.json").is_file():
        raise CheckpointError(
            f"{folder} holds an adapter (adapter_config.json), which has to be merged first",
            f"lilliput import {folder} NAME",
        )
    if (folder / "config.json").is_file():
        if (folder.parent / checkpoint.MANIFEST).is_file():
            checkpoint.verify(folder.parent)
        return folder
    if (folder / "model" / "config.json").is_file():
        checkpoint.verify(folder)
        return folder / "model"
    good = checkpoint.newest_good(RunFolder(folder), notify)
    if good is None:
        raise CheckpointError(
            f"{folder} holds no checkpoint and no model",
            "train it first, or name a folder with a config.json",
        )
    return good / "model"


def adapter_folder(path: str | Path, notify: Callable[[str], None]) -> Path:
    """Return the folder of an adapter: the folder itself, or that of a checkpoint or of a run's newest good checkpoint.
    Raises CheckpointError where there is none."""
    folder = find(path)
    if (folder / "adapter_config.json").is_file():
        return folder
    whole = (folder / checkpoint.MANIFEST).is_file()
    holder = folder if whole else checkpoint.newest_good(RunFolder(folder), notify)
    if holder is None or not (holder / ADAPTER / "adapter_config.json").is_file():
        raise CheckpointError(
            f"{folder} holds no adapter: it has no adapter_config.json",
            "an adapter is what a run with the section adapter trains, or what peft writes",
        )
    if whole:
        checkpoint.verify(holder)
    return holder / ADAPTER


def model_name(path: str | Path, folder: Path) -> str:
    """Return the name of a model whose folder was found at `path`: `story` for a run, `story/step-0001000` for a
    checkpoint of the run, else the folder's own name."""
    asked, folder = Path(path).resolve(), folder.resolve()
    if folder.parent.parent.name != CHECKPOINTS:
        return folder.name
    run, step = folder.parent.parent.parent.name, folder.parent.name
    return f"{run}/{step}" if asked in (folder, folder.parent) else run
