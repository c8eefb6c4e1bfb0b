"""A tracker: every number of a run as a line of numbers.tsv."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lilliput.training.trackers import TRACKERS, Tracker

if TYPE_CHECKING:
    from lilliput.training.trainer import Trainer


@TRACKERS.add("tsv")
class Tsv(Tracker):
    """runs/<name>/numbers.tsv: step, name, value."""

    def open(self, trainer: Trainer) -> None:
        self.file = (trainer.run.path / "numbers.tsv").open("a", encoding="utf-8")

    def log(self, step: int, numbers: dict[str, Any]) -> None:
        self.file.writelines(f"{step}\t{name}\t{value}\n" for name, value in numbers.items())

    def close(self) -> None:
        self.file.close()
