"""RunOutcome: how training ended."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class OutcomeKind(Enum):
    """`finished`: the budget is used. `stopped`: a callback, such as early stopping, ended the run before that; the run
    is complete. `interrupted`: a person or a signal ended the run; it is saved, and the same command resumes it."""

    FINISHED = "finished"
    STOPPED = "stopped"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """`text` is the reason for people, and summary.json holds it as `stopped`."""

    kind: OutcomeKind
    text: str

    def __str__(self) -> str:
        return self.text


FINISHED = RunOutcome(OutcomeKind.FINISHED, "finished")
