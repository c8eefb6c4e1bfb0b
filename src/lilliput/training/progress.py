"""LiveRun: the callback that shows a run in the terminal during training."""

from __future__ import annotations

import math

from lilliput.base.console import console
from lilliput.objectives.figure import BITS, Figure
from lilliput.runs.names import TOKENS_PER_SECOND
from lilliput.runs.samples_file import Sample
from lilliput.training.callbacks import Callback, Record
from lilliput.training.live import LiveView
from lilliput.training.trainer import Trainer


class LiveRun(Callback):
    """Opens the view at the first step and closes it at the end; `note` and `sample` may come at any time."""

    phase = "show"

    def __init__(self, name: str, figure: Figure = BITS):
        self.name, self.figure = name, figure
        self.view: LiveView | None = None
        self.val_bits: float | None = None
        self.began = (0.0, 0.0)

    def on_start(self, trainer: Trainer) -> None:
        self.view = LiveView(
            None if trainer.budget.seconds else trainer.budget.steps, self.name, console, figure=self.figure
        )
        self.began = (trainer.progress, trainer.seconds)
        for record in trainer.run.read_metrics():
            self.val_bits = record.get(self.figure.validation, self.val_bits)
            fraction = trainer.budget.progress(record["step"], record.get("seconds") or 0.0)
            self.view.remember(fraction, record.get(self.figure.training), record.get(self.figure.validation))

    def on_step(self, trainer: Trainer, record: Record) -> None:
        assert self.view is not None
        self.val_bits = record.get(self.figure.validation, self.val_bits)
        self.view.update(
            step=record["step"],
            fraction=trainer.progress,
            tokens=record["tokens"],
            seconds=record["seconds"],
            eta=self._eta(trainer),
            tokens_per_second=record[TOKENS_PER_SECOND],
            train_bpb=record[self.figure.training],
            val_bpb=self.val_bits,
            learning_rate=record["learning_rate"],
        )

    def _eta(self, trainer: Trainer) -> float:
        """Seconds left at the mean speed of this process."""
        progress, seconds = self.began
        done = trainer.progress - progress
        return (trainer.seconds - seconds) * (1 - trainer.progress) / done if done > 0 else math.nan

    def on_end(self, trainer: Trainer) -> None:
        assert self.view is not None
        self.view.close()

    def sample(self, sample: Sample) -> None:
        """Show a fresh text."""
        if self.view is None:
            return
        if sample.before:
            self.view.sample("", sample.before + sample.prompt)
        else:
            self.view.sample(sample.prompt, sample.text)

    def band(self, text: str) -> None:
        """Show how the losses lie beside the runs of the recipe."""
        if self.view is not None:
            self.view.band(text)

    def note(self, text: str) -> None:
        """Print one line without disturbing the view."""
        if self.view is not None:
            self.view.note(text)
        else:
            from lilliput.base.console import print_line

            print_line(text)
