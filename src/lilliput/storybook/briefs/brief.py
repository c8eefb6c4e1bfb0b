"""Brief: a plot in short, with its events in a few sentences, a summary, and the reason for its trouble."""

from __future__ import annotations

from dataclasses import dataclass

from lilliput.storybook.grammar import Ways, ways


@dataclass(frozen=True, slots=True)
class Brief:
    """A plot in short. Every phrase has the slots of the plot.

    start    the want, with the time and the place
    ends     the trouble and what comes of it, by the kind of end
    wanted   the want, after "wanted"
    why      a question for the reason of the trouble, and its answer
    summary  the first half of a summary, to which the outcome is added
    outcome  what happened at the end, by the kind of end: a clause with its subject
    """

    start: Ways
    ends: dict[str, Ways]
    wanted: str
    why: tuple[str, str]
    summary: str
    outcome: dict[str, str]


def brief(start: str, wanted: str, why: tuple[str, str], summary: str, **ends: tuple[str, str]) -> Brief:
    """Return a brief. Each end is given by its kind: the ways to tell it, and its outcome."""
    told = {kind: ways(text) for kind, (text, _) in ends.items()}
    return Brief(ways(start), told, wanted, why, summary, {kind: outcome for kind, (_, outcome) in ends.items()})
