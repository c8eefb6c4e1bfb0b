"""Trackers: the same numbers to TensorBoard, Weights & Biases or trackio, beside the metrics.jsonl of every run."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from lilliput.base.errors import MissingExtra
from lilliput.base.registry import Registry
from lilliput.training.callbacks import Callback, Record

if TYPE_CHECKING:
    from lilliput.training.trainer import Trainer


class Tracker(Callback):
    """A callback that forwards every logged line. Subclasses give `open`, `log` and `close`."""

    phase = "show"

    def on_start(self, trainer: Trainer) -> None:
        self.open(trainer)

    def on_step(self, trainer: Trainer, record: Record) -> None:
        if record["logged"]:
            kept = {k: v for k, v in record.items() if isinstance(v, int | float) and k not in ("step", "logged")}
            self.log(trainer.step, kept)

    def on_end(self, trainer: Trainer) -> None:
        self.close()

    def open(self, trainer: Trainer) -> None:
        raise NotImplementedError

    def log(self, step: int, numbers: dict[str, Any]) -> None:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError


TRACKERS: Registry[type[Tracker]] = Registry("tracker", "lilliput.training")


def _import(module: str, package: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise MissingExtra(package, "track", f"the tracker '{package}'") from error


@TRACKERS.add("tensorboard")
class TensorBoard(Tracker):
    """Event files in runs/<name>/tensorboard."""

    def open(self, trainer: Trainer) -> None:
        writer = _import("torch.utils.tensorboard", "tensorboard").SummaryWriter
        # Lines after the resumed step are written again; purge_step hides the earlier ones.
        self.writer = writer(str(trainer.run.path / "tensorboard"), purge_step=trainer.step)

    def log(self, step: int, numbers: dict[str, Any]) -> None:
        for key, value in numbers.items():
            self.writer.add_scalar(key, value, step)

    def close(self) -> None:
        self.writer.close()


class _Session(Tracker):
    """Weights & Biases and trackio share one interface: init, log, finish."""

    module = ""

    def open(self, trainer: Trainer) -> None:
        self.session = _import(self.module, self.module).init(
            project="lilliput", name=trainer.run.path.name, **self.options(trainer)
        )

    def options(self, trainer: Trainer) -> dict[str, Any]:
        return {}

    def log(self, step: int, numbers: dict[str, Any]) -> None:
        self.session.log(numbers, step=step)

    def close(self) -> None:
        self.session.finish()


@TRACKERS.add("wandb")
class WeightsAndBiases(_Session):
    """Weights & Biases; offline with WANDB_MODE=offline, into runs/<name>/wandb."""

    module = "wandb"

    def options(self, trainer: Trainer) -> dict[str, Any]:
        return {"dir": str(trainer.run.path), "id": trainer.run.path.name, "resume": "allow"}


@TRACKERS.add("trackio")
class Trackio(_Session):
    """trackio, which keeps its numbers on this machine."""

    module = "trackio"

    def options(self, trainer: Trainer) -> dict[str, Any]:
        return {"resume": "allow"}
