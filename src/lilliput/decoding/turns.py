"""Turns: the choice of the texts that run when there are more texts than slots, so that no client waits long for a
first token.

Slots are shared equally by clients, then by calls of a client. A call is one request for n texts of some prompts. Among
equals the text with the fewest tokens goes first, so that a new text begins at once and a long text continues in the
gaps. A text that gave up its slot is read again when it gets a slot again. Reading takes longer for a longer text. So a
turn grows with the text, and a long text is seldom interrupted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lilliput.decoding.engine import Job

TURN = 12
"""The least number of tokens that a text may generate before it gives up its slot."""

READ_ANEW = 16
"""A turn has one more token for each READ_ANEW tokens that would have to be read again, because reading a token is
so many times as fast as generating it."""

AGE_STEPS = 256
"""After so many steps of waiting, a text is preferred as if it had received half of its service."""


class Shares:
    """Slots in use, by client and by call, while slots are given out."""

    def __init__(self, running: Sequence[Job], waiting: Sequence[Job], step: int):
        self._step = step
        self._own = {
            job: (self._age(job), (job.request.sampling.max_tokens - job.generated).bit_length(), job.number)
            for job in waiting
        }
        self._clients: Counter[Hashable] = Counter(job.client for job in running)
        self._calls: Counter[Hashable] = Counter(job.call for job in running)

    def count(self, job: Job, slots: int) -> None:
        """Count that `job` got a slot (1) or lost it (-1)."""
        self._clients[job.client] += slots
        self._calls[job.call] += slots

    def first(self, waiting: Sequence[Job]) -> Job:
        """The waiting job that goes first: with few slots of its client, then of its call, few tokens generated, few
        left to generate, and an early arrival."""
        clients, calls, own = self._clients, self._calls, self._own
        return min(waiting, key=lambda job: (clients[job.client], calls[job.call], own[job]))

    def cost(self, job: Job) -> tuple[int, ...]:
        """The cost of a running job. Of the jobs whose turn is over, the job with the highest cost gives up its slot
        first."""
        return self._clients[job.client], self._calls[job.call], _level(job), job.number

    def goes_before(self, waiting: Job, running: Job) -> bool:
        """Return whether `waiting` should have the slot of `running`. Its share must not become larger, and its service
        so far must be less."""
        if waiting.call == running.call:
            return False
        if waiting.client != running.client:
            then, now = self._clients[waiting.client] + 1, self._clients[running.client]
            if then != now:
                return then < now
        then, now = self._calls[waiting.call] + 1, self._calls[running.call]
        return then < now if then != now else self._own[waiting][0] < _level(running)

    def _age(self, job: Job) -> int:
        return _level(job) - (self._step - job.waits_since) // AGE_STEPS


def take_turns(running: Sequence[Job], waiting: Sequence[Job], free: int, step: int) -> tuple[list[Job], list[Job]]:
    """The waiting jobs that get a slot in this step, and the running jobs that give up their slots for them."""
    shares, left = Shares(running, waiting, step), list(waiting)
    joining: list[Job] = []
    leaving: list[Job] = []

    def join(job: Job) -> None:
        left.remove(job)
        joining.append(job)
        shares.count(job, 1)

    while free > len(joining) and left:
        join(shares.first(left))
    over = [job for job in running if _turn_is_over(job)] if left else []
    while over and left:
        first, last = shares.first(left), max(over, key=shares.cost)
        if not shares.goes_before(first, last):
            break
        over.remove(last)
        leaving.append(last)
        shares.count(last, -1)
        join(first)
    return joining, leaving


def _level(job: Job) -> int:
    """0 for a text of less than a turn; one more at 12, 36, 84 ... tokens: each interval doubles."""
    return (job.generated // TURN + 1).bit_length() - 1


def _turn_is_over(job: Job) -> bool:
    return job.generated - job.generated_before >= max(TURN, (len(job.request.prompt) + job.generated) // READ_ANEW)
