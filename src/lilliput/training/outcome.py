"""RunOutcome: how training ended."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class OutcomeKind(Enum):
    """`finished`: the budget is used. `stopped`: something ended the run before, as early stopping does; it is complete
    all the same. `interrupted`: a person or a signal did; it is saved, and the same command goes on with it."""

    FINISHED = "finished"
    STOPPED = "stopped"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """`text` says it to people, and stands in summary.json as `stopped`."""

    kind: OutcomeKind
    text: str

    def __str__(self) -> str:
        return self.text


FINISHED = RunOutcome(OutcomeKind.FINISHED, "finished")
