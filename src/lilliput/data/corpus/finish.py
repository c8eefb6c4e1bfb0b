"""Finish: the folder of a prepared corpus that people and tools read, made of the results of all chunks."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from lilliput.base.damage import write_sealed
from lilliput.base.errors import DataError
from lilliput.base.files import write_text
from lilliput.data.corpus.chunks import Chunk, chunks_of
from lilliput.data.corpus.page import page
from lilliput.data.corpus.pairs import pairs_of
from lilliput.data.corpus.plan import Plan
from lilliput.data.corpus.results import EXAMPLES, halvings_for, has_result, result_folder

BINS = 40
"""Bars of a distribution."""


def finish(plan: Plan, out: Path) -> None:
    """Write documents/, rejects/, manifest.json, corpus.html, corpus.yaml and train.yaml. Raises DataError where a
    chunk is not finished."""
    work = out / "work"
    chunks = chunks_of(plan, work)
    halvings = halvings_for(sum(chunk.bytes for chunk in chunks))
    missing = [chunk for chunk in chunks if not has_result(plan.groups[chunk.group], chunk, work, halvings)]
    if missing:
        raise DataError(f"{len(missing):,} of {len(chunks):,} chunks are not finished", "prepare the corpus again")
    places = [(chunk, result_folder(plan.groups[chunk.group], work, halvings) / chunk.name) for chunk in chunks]
    numbers: Counter[int] = Counter()
    names: list[tuple[Path, str]] = []
    for chunk, place in places:
        source = plan.groups[chunk.group].source
        names.append((place, f"{source}/{numbers[source]:05d}.jsonl.gz"))
        numbers[source] += 1
    facts = [json.loads(place.with_name(f"{place.name}.json").read_text(encoding="utf-8")) for _, place in places]
    manifest = summary(plan, chunks, facts)
    manifest["pairs"] = pairs_of(plan, chunks, facts, work)
    for side in ("before", "after"):
        manifest[side]["vocabulary"] = _vocabulary(place.with_name(f"{place.name}.{side}.npy") for _, place in places)
    _replace(out / "documents", ((place.with_name(f"{place.name}.jsonl.gz"), name) for place, name in names))
    _replace(out / "rejects", ((place.with_name(f"{place.name}.rejects.jsonl.gz"), name) for place, name in names))
    write_text(out / "corpus.yaml", yaml.safe_dump(plan.config.model_dump(mode="json"), sort_keys=False))
    write_text(out / "train.yaml", yaml.safe_dump(recipe(plan, out, numbers), sort_keys=False))
    write_text(out / "corpus.html", page(manifest))
    write_sealed(out / "manifest.json", manifest)


def recipe(plan: Plan, out: Path, files: Mapping[int, int]) -> dict[str, Any]:
    """Return the recipe that trains on the documents, each source by its weight."""
    sources = [
        {"kind": "jsonl", "paths": [str(out.resolve() / "documents" / str(number))], "weight": source.weight}
        for number, source in enumerate(plan.config.sources)
        if files[number]
    ]
    return {"data": {"sources": sources, "steps": []}}


def summary(plan: Plan, chunks: Sequence[Chunk], facts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the manifest: counts by source and step, distributions, and examples of rejects and changes."""
    sources: list[dict[str, Any]] = [
        {"describe": source.describe(), "profile": source.profile} for source in plan.config.sources
    ]
    for number, source in enumerate(sources):
        mine = [one for chunk, one in zip(chunks, facts, strict=True) if plan.groups[chunk.group].source == number]
        for key in ("documents", "bytes"):
            source[f"{key}_read"], source[f"{key}_kept"] = (sum(one[key][side] for one in mine) for side in (0, 1))
    funnel = [_empty(kind.kind, source) for kind, source in plan.steps]
    reasons: dict[str, list[list[str]]] = {}
    for chunk, one in zip(chunks, facts, strict=True):
        for planned, counts in zip(plan.groups[chunk.group].steps, one["steps"], strict=True):
            _add(funnel[planned.step], counts)
        for number, change in one["changes"].items():
            row = funnel[int(number)]
            row["sampled_words"] += change["words"]
            row["changed_words"] += change["changed_words"]
            row["examples"] = [*row["examples"], *change["examples"]][:EXAMPLES]
        for reason, examples in one["rejects"].items():
            reasons[reason] = [*reasons.get(reason, []), *examples][:EXAMPLES]
    drops = sum((Counter(row["dropped"]) for row in funnel), Counter())
    read, kept = (sum(source[f"documents_{side}"] for source in sources) for side in ("read", "kept"))
    drops["empty"] += read - kept - drops.total()
    return {
        "sources": sources,
        "documents": {"read": read, "kept": kept},
        "bytes": {side: sum(source[f"bytes_{side}"] for source in sources) for side in ("read", "kept")},
        "chunks": len(chunks),
        "steps": funnel,
        "dropped": {reason: count for reason, count in drops.most_common() if count},
        "rejects": reasons,
        **{side: _distributions([one[side] for one in facts]) for side in ("before", "after")},
    }


def _empty(kind: str, source: int | None) -> dict[str, Any]:
    counts = dict.fromkeys(("documents", "bytes", "changed", "dropped_bytes", "bytes_less", "seconds"), 0)
    words = {"sampled_words": 0, "changed_words": 0}
    return {"kind": kind, "source": source, **counts, **words, "dropped": {}, "examples": []}


def _add(row: dict[str, Any], counts: Mapping[str, Any]) -> None:
    for key in ("documents", "bytes", "changed", "dropped_bytes", "bytes_less", "seconds"):
        row[key] += counts[key]
    row["dropped"] = dict(Counter(row["dropped"]) + Counter(counts["dropped"]))


def _distributions(sides: Sequence[Mapping[str, list[float]]]) -> dict[str, Any]:
    """Return counts, means and histograms of the sampled documents' words and grades."""
    words = np.array([value for side in sides for value in side["words"]], float)
    grades = np.array([value for side in sides for value in side["grades"]], float)
    found: dict[str, Any] = {"sampled_documents": len(words), "words": int(words.sum())}
    if len(words):
        found["words_a_document"] = float(np.median(words))
        found["grade"] = float(np.median(grades))
        edges = np.linspace(0, 5, BINS + 1)
        found["words_histogram"] = _histogram(np.log10(np.maximum(words, 1)), edges)
        found["grade_histogram"] = _histogram(grades, np.linspace(-4, 20, BINS + 1))
    return found


def _histogram(values: np.ndarray, edges: np.ndarray) -> list[list[float]]:
    """Return (middle, count) of each bar; values beyond the ends are in the last bars."""
    counts = np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0]
    return [[float(middle), int(count)] for middle, count in zip((edges[1:] + edges[:-1]) / 2, counts, strict=True)]


def _vocabulary(paths: Iterator[Path]) -> int:
    found = np.zeros(0, np.uint64)
    for path in paths:
        found = np.union1d(found, np.load(path, allow_pickle=False))
    return len(found)


def _replace(folder: Path, files: Iterator[tuple[Path, str]]) -> None:
    """Put files into a folder in place of all that was in it. The old folder stays until the new one is whole."""
    new, old = folder.with_name(f"{folder.name}.new"), folder.with_name(f"{folder.name}.old")
    for left in (new, old):
        shutil.rmtree(left, ignore_errors=True)
    new.mkdir(parents=True)
    for path, name in files:
        (new / name).parent.mkdir(exist_ok=True)
        try:
            os.link(path, new / name)
        except OSError:  # a file system without links
            shutil.copyfile(path, new / name)
    if folder.exists():
        folder.rename(old)
    new.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
