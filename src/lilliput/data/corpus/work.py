"""Work: a chunk's documents taken through its steps, as far as they come; and the decisions of steps that look at all
documents.

Any number of processes may work on the chunks of one folder. Each result is a file that is there whole or not at all,
so that a process may end at any moment.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from lilliput.data.batches import batches
from lilliput.data.corpus import outcomes as kept
from lilliput.data.corpus.chunks import Chunk, chunks_of, documents_in
from lilliput.data.corpus.outcomes import Outcomes
from lilliput.data.corpus.plan import Plan, Planned
from lilliput.data.corpus.results import Passed, has_result, write_result
from lilliput.data.document import Document
from lilliput.data.steps import CorpusStep, Dropped, step_into


def work_on(plan: Plan, chunk: Chunk, work: Path, halvings: int) -> bool:
    """Take a chunk through its steps, and write its result. Return whether it is finished: a chunk that comes to a step
    whose decision is not there yet leaves a digest for it. `halvings` say how few documents are sampled."""
    group = plan.groups[chunk.group]
    if has_result(group, chunk, work, halvings):
        return True
    documents = documents_in(plan, chunk, work)
    states: list[list[Document | Dropped]] = [[*batch] for batch in batches(documents, lambda one: len(one.text))]
    done: list[Outcomes] = []
    for planned in group.steps:
        path = outcomes_path(planned, chunk, work)
        found = kept.read(path)
        if found is None:
            step = plan.steps[planned.step][0]
            parts: list[np.ndarray] | None = None
            if isinstance(step, CorpusStep):
                parts = _arrays(part_path(planned, chunk, work))
                if parts is None:
                    _digest(step, states, digest_path(planned, chunk, work))
                    return False
            found = _apply(plan, planned, states, parts)
            if parts is not None:
                found.seconds += _seconds(digest_path(planned, chunk, work))
            found.write(path)
        else:
            _again(states, found)
        done.append(found)
    final = [one for state in states for one in state]
    write_result(plan, chunk, work, Passed(documents, final, done), halvings)
    return True


def _apply(
    plan: Plan, planned: Planned, states: list[list[Document | Dropped]], parts: list[np.ndarray] | None
) -> Outcomes:
    """Apply a step to the batches, and return what it did."""
    step, found, at = plan.steps[planned.step][0], Outcomes(), 0
    for number, state in enumerate(states):
        before = [*state]
        began = time.process_time()
        changed = step_into(state, step, None if parts is None else parts[number])
        found.seconds += time.process_time() - began
        found.add(before, changed, at)
        at += len(state)
    return found


def came_to(plan: Plan, chunk: Chunk, step: int, work: Path) -> list[Document] | None:
    """Return the documents of a chunk that came to a step; None where the outcomes of a step before are not there."""
    state: list[Document | Dropped] = [*documents_in(plan, chunk, work)]
    for planned in plan.groups[chunk.group].steps:
        if planned.step == step:
            break
        found = kept.read(outcomes_path(planned, chunk, work))
        if found is None:
            return None
        _again([state], found)
    return [one for one in state if isinstance(one, Document)]


def _again(states: list[list[Document | Dropped]], found: Outcomes) -> None:
    """Do to the batches what a step did before."""
    places = [(number, place) for number, state in enumerate(states) for place in range(len(state))]
    for place, outcome in found.changed:
        number, here = places[place]
        states[number][here] = outcome


def _digest(step: CorpusStep, states: Sequence[Sequence[Document | Dropped]], path: Path) -> None:
    """Write the digests of all batches, unless they are there."""
    if _arrays(path) is None:
        began = time.process_time()
        digests = [step.digest([one for one in state if isinstance(one, Document)]) for state in states]
        _write_arrays(path, digests, time.process_time() - began)


def decide(plan: Plan, work: Path) -> int:
    """Decide for all steps whose digests are complete, and return how many those are."""
    chunks = chunks_of(plan, work)
    count = 0
    for scope, planned in dict.fromkeys(
        (each.scope, each) for group in plan.groups for each in group.steps if each.scope
    ):
        mine = [chunk for chunk in chunks if chunk.group in scope]
        chosen = [_planned(plan, chunk, planned.step) for chunk in mine]
        if all(_arrays(part_path(each, chunk, work)) is not None for each, chunk in zip(chosen, mine, strict=True)):
            continue
        digests = [_arrays(digest_path(each, chunk, work)) for each, chunk in zip(chosen, mine, strict=True)]
        if any(digest is None for digest in digests):
            continue
        step = plan.steps[planned.step][0]
        assert isinstance(step, CorpusStep)
        sizes = [len(digest or ()) for digest in digests]
        parts = iter(step.decide(iter([one for digest in digests for one in digest or ()])))
        for each, chunk, size in zip(chosen, mine, sizes, strict=True):
            _write_arrays(part_path(each, chunk, work), [next(parts) for _ in range(size)])
        count += 1
    return count


def _planned(plan: Plan, chunk: Chunk, step: int) -> Planned:
    return next(each for each in plan.groups[chunk.group].steps if each.step == step)


def outcomes_path(planned: Planned, chunk: Chunk, work: Path) -> Path:
    return work / "steps" / planned.key / f"{chunk.name}.jsonl"


def digest_path(planned: Planned, chunk: Chunk, work: Path) -> Path:
    return work / "steps" / planned.key / "digests" / f"{chunk.name}.npz"


def part_path(planned: Planned, chunk: Chunk, work: Path) -> Path:
    return work / "steps" / planned.key / "parts" / f"{chunk.name}.npz"


def _write_arrays(path: Path, arrays: Sequence[np.ndarray], seconds: float = 0.0) -> None:
    """Write arrays whole or not at all, with the seconds that they took."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".tmp")
    with open(partial, "wb") as file:
        np.savez(file, *arrays, seconds=np.array(seconds))
    partial.replace(path)


def _arrays(path: Path) -> list[np.ndarray] | None:
    """Return the arrays in a file; None where there is no file, or a damaged file."""
    try:
        with open(path, "rb") as raw, np.load(raw, allow_pickle=False) as file:
            return [file[f"arr_{number}"] for number in range(len(file.files) - 1)]
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return None


def _seconds(path: Path) -> float:
    """Return the processor seconds that a file's arrays took."""
    try:
        with open(path, "rb") as raw, np.load(raw, allow_pickle=False) as file:
            return float(file["seconds"])
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return 0.0  # the decision is there, and its digest is not any more
