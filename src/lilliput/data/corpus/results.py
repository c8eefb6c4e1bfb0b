"""Results: of each chunk the kept documents, the rejects with their reasons, and what the report shows of them."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from lilliput.base.files import sha256, write_text
from lilliput.data.corpus.chunks import Chunk, rows_of
from lilliput.data.corpus.outcomes import Outcomes
from lilliput.data.corpus.plan import Group, Plan
from lilliput.data.document import Document
from lilliput.data.steps import Dropped
from lilliput.data.steps.measures import Texts
from lilliput.data.steps.readability import counts_of, flesch_kincaid
from lilliput.data.steps.vocabulary import words_of

SAMPLE_BYTES = 2**24
"""Text whose words are measured for the report; of a larger corpus a share of the documents, by a hash of their ids."""
EXAMPLES, EXCERPT = 5, 400
"""Documents shown for each reason and each changing step, and characters of each."""
ENDS = ("jsonl.gz", "rejects.jsonl.gz", "before.npy", "after.npy")
"""The files of a chunk beside its facts."""
LEVEL = 3
"""gzip: level 6 takes twice as long for 5% less."""


@dataclass(frozen=True, slots=True)
class Passed:
    """A chunk behind its last step: the documents as they were read, the outcomes, and what each step did."""

    documents: Sequence[Document]
    outcomes: Sequence[Document | Dropped]
    steps: Sequence[Outcomes]


@dataclass
class Measured:
    """What the report measures of a sample of documents."""

    documents: int = 0
    words: list[int] = field(default_factory=list)
    grades: list[float] = field(default_factory=list)
    vocabulary: np.ndarray = field(default_factory=lambda: np.zeros(0, np.uint64))


def halvings_for(size: int) -> int:
    """Return how often the share of sampled documents is halved for a corpus of so many bytes."""
    return max(0, math.ceil(math.log2(max(1, size) / SAMPLE_BYTES)))


def result_folder(group: Group, work: Path, halvings: int) -> Path:
    """Return the folder of the results of a group's chunks."""
    return work / "results" / f"{group.result}-{halvings}"


def has_result(group: Group, chunk: Chunk, work: Path, halvings: int) -> bool:
    """Return whether a chunk is finished, and its files are those that were written. The facts are written last."""
    folder = result_folder(group, work, halvings)
    try:
        files = json.loads((folder / f"{chunk.name}.json").read_text(encoding="utf-8"))["files"]
        return all(sha256(folder / name) == digest for name, digest in files.items())
    except (OSError, ValueError, KeyError, TypeError):
        return False  # not there, or damaged: it is made again


def write_result(plan: Plan, chunk: Chunk, work: Path, passed: Passed, halvings: int) -> None:
    """Write what is left of a chunk."""
    group = plan.groups[chunk.group]
    folder = result_folder(group, work, halvings)
    folder.mkdir(parents=True, exist_ok=True)
    kept = [one for one in passed.outcomes if isinstance(one, Document) and one.text.strip()]
    _write_gzip(folder / f"{chunk.name}.jsonl.gz", map(dict, map(rows_of, kept)))
    rejects = list(_rejects(plan, group, passed))
    _write_gzip(folder / f"{chunk.name}.rejects.jsonl.gz", rejects)
    before = measured([one for one in passed.documents if is_sampled(one, halvings)])
    after = measured([one for one in kept if is_sampled(one, halvings)])
    for name, one in (("before", before), ("after", after)):
        np.save(folder / f"{chunk.name}.{name}.npy", one.vocabulary)
    facts = {
        "documents": [len(passed.documents), len(kept)],
        "bytes": [sum(one.size for one in passed.documents), sum(one.size for one in kept)],
        "before": {"words": before.words, "grades": before.grades},
        "after": {"words": after.words, "grades": after.grades},
        "rejects": _first_of_each(rejects),
        "repeats": _repeats(group, passed),
        "changes": _changes(plan, group, passed, halvings),
        "steps": [_counts(step) for step in passed.steps],
        "files": {f"{chunk.name}.{end}": sha256(folder / f"{chunk.name}.{end}") for end in ENDS},
    }
    write_text(folder / f"{chunk.name}.json", json.dumps(facts, ensure_ascii=False))


def _counts(step: Outcomes) -> dict[str, Any]:
    changed = sum(isinstance(one, Document) for _, one in step.changed)
    values = {"documents": step.documents, "bytes": step.bytes, "dropped": step.dropped, "changed": changed}
    return {**values, "dropped_bytes": step.dropped_bytes, "bytes_less": step.bytes_less, "seconds": step.seconds}


def _rejects(plan: Plan, group: Group, passed: Passed) -> Iterable[dict[str, Any]]:
    """Yield the dropped documents as they were read, each with its step and its reason."""
    for planned, step in zip(group.steps, passed.steps, strict=True):
        kind = plan.steps[planned.step][0].kind
        for place, outcome in step.changed:
            if isinstance(outcome, Dropped):
                document = passed.documents[place]
                yield {"id": document.id, "step": kind, "reason": outcome.reason, "text": document.text}
    for document, outcome in zip(passed.documents, passed.outcomes, strict=True):
        if isinstance(outcome, Document) and not outcome.text.strip():
            yield {"id": document.id, "step": "", "reason": "empty", "text": document.text}


def _first_of_each(rejects: Sequence[Mapping[str, Any]]) -> dict[str, list[list[str]]]:
    """Return the ids and beginnings of some rejects for each reason: those with the smallest hashes."""
    found: dict[str, list[list[str]]] = defaultdict(list)
    for reject in sorted(rejects, key=lambda one: _share_of(one["id"])):
        if len(found[reject["reason"]]) < EXAMPLES:
            found[reject["reason"]].append([reject["id"], reject["text"][:EXCERPT]])
    return found


def _repeats(group: Group, passed: Passed) -> list[list[Any]]:
    """Return some documents that repeat another: the number of the step, the id, the text, and the place of the other
    among the documents that came to the step. They are those with the smallest hashes of each step."""
    found: list[list[Any]] = []
    for planned, step in zip(group.steps, passed.steps, strict=True):
        dropped = [(passed.documents[place], one) for place, one in step.changed if isinstance(one, Dropped)]
        there = [(document, one.like) for document, one in dropped if one.like is not None]
        there.sort(key=lambda pair: _share_of(pair[0].id))
        found += [[planned.step, document.id, document.text, like] for document, like in there[:EXAMPLES]]
    return found


def _changes(plan: Plan, group: Group, passed: Passed, halvings: int) -> dict[str, dict[str, Any]]:
    """Return of each changing step the share of changed words in the sample, and places that it changed."""
    texts = [one.text for one in passed.documents]
    found: dict[str, dict[str, Any]] = {}
    for planned, step in zip(group.steps, passed.steps, strict=True):
        here: dict[str, Any] = {"words": 0, "changed_words": 0, "examples": []}
        for place, outcome in step.changed:
            if not isinstance(outcome, Document) or outcome.text == texts[place]:
                continue
            if is_sampled(outcome, halvings):
                words, changed = changed_words(texts[place], outcome.text)
                here["words"] += words
                here["changed_words"] += changed
            if len(here["examples"]) < EXAMPLES:
                here["examples"].append([outcome.id, *difference(texts[place], outcome.text)])
            texts[place] = outcome.text
        if here["examples"]:
            found[str(planned.step)] = here
    return found


def changed_words(old: str, new: str) -> tuple[int, int]:
    """Return the words of a text before a change, and how many of them are not there any more."""
    before, after = old.split(), defaultdict(int)
    for word in new.split():
        after[word] += 1
    gone = 0
    for word in before:
        if after[word]:
            after[word] -= 1
        else:
            gone += 1
    return len(before), gone


def difference(old: str, new: str) -> tuple[str, str]:
    """Return both texts around the first place where they differ."""
    place = next((at for at, (one, other) in enumerate(zip(old, new, strict=False)) if one != other), 0)
    begin = max(0, place - 60)
    return old[begin : begin + EXCERPT // 2], new[begin : begin + EXCERPT // 2]


def is_sampled(document: Document, halvings: int) -> bool:
    """Return whether a document is in the sample, by a hash of its id."""
    return _share_of(document.id) < 2.0**-halvings


def _share_of(name: str) -> float:
    return int.from_bytes(hashlib.blake2b(name.encode("utf-8", "replace"), digest_size=8).digest(), "big") / 2**64


def measured(documents: Sequence[Document]) -> Measured:
    """Measure words, grades by Flesch and Kincaid, and the hashes of different words of documents."""
    found = Measured(len(documents))
    waiting = iter(documents)
    words = [found.vocabulary]
    while batch := [one.text for one in islice(waiting, 64)]:
        texts = Texts(batch)
        counts = counts_of(texts)
        found.words += texts.total(texts.lettered).tolist()
        found.grades += np.round(flesch_kincaid(counts), 2).tolist()
        words.append(np.unique(words_of(texts, range(len(batch)))))
    found.vocabulary = np.unique(np.concatenate(words))
    return found


def _write_gzip(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write JSON lines through gzip, whole or not at all, the same bytes for the same rows."""
    partial = path.with_name(path.name + ".tmp")
    with (
        open(partial, "wb") as raw,
        gzip.GzipFile("", "wb", LEVEL, raw, mtime=0) as packed,
        io.TextIOWrapper(packed, "utf-8") as file,
    ):
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    partial.replace(path)
