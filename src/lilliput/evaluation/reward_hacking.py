"""RewardHacking: warns when the rewards that are trained on rise while a reward that is only watched falls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lilliput.training.callbacks import Callback, Record

if TYPE_CHECKING:
    from lilliput.training.trainer import Trainer

RISE, FALL = 0.05, 0.05
"""How far the trained reward has to rise, and a watched one to fall, from the run's first evaluation."""
TRAINED = "val_reward"


class RewardHacking(Callback):
    """Compares the held-out rewards of each evaluation with the first of their kind. `watched` are the names of the
    rewards of weight 0: nothing is trained on them, so a fall shows that the trained rewards are met without their
    purpose."""

    phase = "show"

    def __init__(self, watched: Sequence[str]):
        self.keys = {name: f"val_rewards/{name}/mean" for name in watched}
        self.first: dict[str, float] = {}
        self.warned: list[str] = []

    def state(self) -> dict[str, Any]:
        return {"first": self.first, "warned": self.warned}

    def load_state(self, state: dict[str, Any]) -> None:
        self.first, self.warned = dict(state.get("first", {})), list(state.get("warned", []))

    def on_step(self, trainer: Trainer, record: Record) -> None:
        if TRAINED not in record:
            return
        for key in (TRAINED, *self.keys.values()):
            if key in record:  # a reward has no mean where it judges nothing
                self.first.setdefault(key, record[key])
        for name in self.fallen(record):
            self.warned.append(name)
            rose, fell = (f"from {self.first[key]:.3f} to {record[key]:.3f}" for key in (TRAINED, self.keys[name]))
            trainer.notify(
                f"REWARD HACKING? The trained reward rose {rose}, while '{name}', which is only watched, fell {fell}: "
                f"read the completions in {trainer.run.rollouts}"
            )

    def fallen(self, record: Mapping[str, Any]) -> list[str]:
        """The watched rewards that fell while the trained reward rose, and were not named before."""
        if record[TRAINED] - self.first.get(TRAINED, record[TRAINED]) < RISE:
            return []
        return [
            name
            for name, key in self.keys.items()
            if name not in self.warned and key in record and self.first.get(key, record[key]) - record[key] >= FALL
        ]
