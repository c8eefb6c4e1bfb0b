"""Run: a run folder as Python sees it, and how a name, a checkpoint or a Hugging Face folder is found."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lilliput.base.errors import CheckpointError, ConfigError, nearest
from lilliput.recipe import Recipe, load
from lilliput.train import checkpoint
from lilliput.train.run_folder import RunFolder

if TYPE_CHECKING:
    from collections.abc import Callable

    from lilliput.api.storyteller import Storyteller

RUNS = Path("runs")


class Run:
    """What `train` returns and what a finished or interrupted run folder can be asked."""

    def __init__(self, path: str | Path):
        self.folder = RunFolder(find(path))
        self.path = self.folder.path

    @property
    def summary(self) -> dict[str, Any]:
        """summary.json; empty when the run has not ended. Raises CheckpointError where it is damaged."""
        return self.folder.read_summary()

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl."""
        return self.folder.read_metrics()

    @property
    def checkpoints(self) -> list[Path]:
        """Finished checkpoints, oldest first."""
        return [self.folder.checkpoint(step) for step in self.folder.steps()]

    @cached_property
    def storyteller(self) -> Storyteller:
        """The newest good checkpoint, ready to tell."""
        from lilliput.api.storyteller import load

        return load(self.path)

    def tell(self, opening: str | None = None, ending: str | None = None, **sampling: Any) -> str:
        """One text from an opening, or for a reversed model to an ending."""
        return self.storyteller.tell(opening, ending, **sampling)[0]

    def __repr__(self) -> str:
        bits = self.summary.get("val_bits_per_byte")
        return f"Run({str(self.path)!r}" + (f", val_bits_per_byte={bits:.3f})" if bits else ", not finished)")


def find(path: str | Path) -> Path:
    """A folder as it is given, else runs/<name>. Raises CheckpointError naming the runs that exist."""
    given = Path(path)
    for candidate in (given, RUNS / given):
        if candidate.is_dir():
            return candidate
    known = sorted(entry.name for entry in RUNS.iterdir() if entry.is_dir()) if RUNS.is_dir() else []
    raise CheckpointError(
        f"there is no run or model folder '{path}'{nearest(str(path), known)}",
        f"runs here: {', '.join(known)}" if known else "train one first: lilliput train story",
    )


def model_folder(path: str | Path, say: Callable[[str], None]) -> Path:
    """The stock model folder of a run (its newest good checkpoint), of a checkpoint, or the folder itself.
    Raises CheckpointError when it is none of them or nothing in it is whole."""
    folder = find(path)
    if (folder / "config.json").is_file():
        if (folder.parent / checkpoint.MANIFEST).is_file():
            checkpoint.verify(folder.parent)
        return folder
    if (folder / "model" / "config.json").is_file():
        checkpoint.verify(folder)
        return folder / "model"
    good = checkpoint.newest_good(RunFolder(folder), say)
    if good is None:
        raise CheckpointError(
            f"{folder} holds no checkpoint and no model",
            "train it first, or name a folder with a config.json",
        )
    return good / "model"


def recipe_of(path: str | Path) -> Recipe:
    """The recipe of the run that `path` is or lies in. Raises ConfigError where there is none."""
    folder = find(path).resolve()
    for place in (folder, *folder.parents[:3]):
        if (place / "recipe.yaml").is_file():
            return load(place / "recipe.yaml")
    raise ConfigError(
        f"{path} belongs to no run, so it has no validation split", "name the text to score: --data FILES"
    )
