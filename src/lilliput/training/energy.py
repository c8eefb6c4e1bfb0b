"""EnergyMeter: the callback that counts a run's energy while it trains."""

from __future__ import annotations

from time import monotonic

from lilliput.base.energy import Energy, Meter
from lilliput.training.callbacks import Callback, Record
from lilliput.training.trainer import Trainer

EVERY_SECONDS = 30.0


class EnergyMeter(Callback):
    """Reads the machine's energy counters, where there are any, from the first step to the end."""

    energy: Energy | None = None

    def on_start(self, trainer: Trainer) -> None:
        self.meter, self.read = Meter(trainer.device), monotonic()

    def on_step(self, trainer: Trainer, record: Record) -> None:
        # The counters wrap round, so they are read often enough to notice it.
        if monotonic() - self.read > EVERY_SECONDS:
            self.meter.sample()
            self.read = monotonic()

    def on_end(self, trainer: Trainer) -> None:
        self.energy = self.meter.sample()
