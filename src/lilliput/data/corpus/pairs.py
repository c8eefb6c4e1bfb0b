"""Pairs: documents that were dropped as duplicates, each beside the document that it repeats, for the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lilliput.data.corpus.chunks import Chunk
from lilliput.data.corpus.plan import Plan
from lilliput.data.corpus.results import EXAMPLES, difference
from lilliput.data.corpus.work import came_to
from lilliput.data.document import Document


def pairs_of(
    plan: Plan, chunks: Sequence[Chunk], facts: Sequence[Mapping[str, Any]], work: Path
) -> dict[str, list[list[str]]]:
    """Return by kind of step some pairs of duplicates: the id and the text of the document that stayed, and of the one
    that was dropped, both around the first place where they differ."""
    found: dict[str, list[list[str]]] = {}
    for one in facts:
        for step, name, text, like in one.get("repeats", ()):
            pairs = found.setdefault(plan.steps[step][0].kind, [])
            other = _document(plan, chunks, facts, work, step, like) if len(pairs) < EXAMPLES else None
            if other is not None:
                stayed, dropped = difference(other.text, text)
                pairs.append([other.id, stayed, name, dropped])
    return {kind: pairs for kind, pairs in found.items() if pairs}


def _document(
    plan: Plan, chunks: Sequence[Chunk], facts: Sequence[Mapping[str, Any]], work: Path, step: int, place: int
) -> Document | None:
    """Return the document at a place among all that came to a step; None where the work before it is gone."""
    for chunk, one in zip(chunks, facts, strict=True):
        steps = [planned.step for planned in plan.groups[chunk.group].steps]
        if step not in steps:
            continue
        count = one["steps"][steps.index(step)]["documents"]
        if place < count:
            there = came_to(plan, chunk, step, work)
            return None if there is None else there[place]
        place -= count
    return None
