"""AsUsual: the callback that compares a run's losses with the runs of the shipped recipe at the same point."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lilliput.base.console import number
from lilliput.runs.bands import Bands
from lilliput.training.callbacks import Callback, Record

if TYPE_CHECKING:
    from lilliput.training.trainer import Trainer


class AsUsual(Callback):
    """At each evaluation passes one sentence on the band to `show`. Outside the measured points, and where a clock is
    ahead of the tokens, it reports this once, through the trainer's `notify`."""

    phase = "show"

    def __init__(self, bands: Bands, show: Callable[[str], None]):
        self.bands, self.show = bands, show
        self.outside = False

    def state(self) -> dict[str, Any]:
        return {"outside": self.outside}

    def load_state(self, state: dict[str, Any]) -> None:
        self.outside = bool(state.get("outside"))

    def on_step(self, trainer: Trainer, record: Record) -> None:
        bands = self.bands
        if record.get(bands.validation) is None:
            return
        tokens, progress = record["tokens"], trainer.counters.progress
        place = bands.place(tokens, progress, record.get(bands.training), record[bands.validation])
        if place is not None:
            self.show(place.text)
        elif not self.outside and not bands.follows(tokens, progress):
            self.outside = True
            trainer.notify(f"no band of losses after {number(tokens)} tokens: {self._why(tokens, progress)}")

    def _why(self, tokens: int, progress: float) -> str:
        bands = self.bands
        there = bands.progress(tokens)
        if there is None:
            first, last = map(number, bands.reach)
            return f"the runs of {bands.name} were measured from {first} to {last}"
        return f"{progress:.0%} of the budget is used, and {there:.0%} was in the runs of {bands.name}"
