"""Overlaps with a run's training text: items of benchmarks and documents of texts that share runs of words with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from lilliput.assembly.recipe import Recipe, recipe_of
from lilliput.base.console import print_line, progress
from lilliput.base.errors import ConfigError
from lilliput.data.curation import Curation
from lilliput.data.infer import named_texts
from lilliput.evaluation.benchmarks.benchmarking import load_tasks
from lilliput.evaluation.overlap import N, overlap
from lilliput.runs.evaluation_file import keep_evaluation
from lilliput.runs.finding import find


def texts_of(recipe: Recipe, side: str) -> Iterator[str]:
    """Yield the documents of a run's 'train' or 'validation' side as texts, read again from their sources."""
    return (item.document.text for item in Curation(recipe.data) if item.split == side)


def overlaps(
    path: str | Path,
    tasks: Sequence[str] = (),
    task_data: str | Path | None = None,
    data: Sequence[str] = (),
    *,
    fit: Sequence[str] = (),
    n: int = N,
    max_items: int | None = None,
    notify: Callable[[str], None] = print_line,
) -> dict[str, Any]:
    """Count the items of each task, and the documents of each text in `data`, that share a run of n words with the
    training text of the run at `path`. The training text is read again from its sources. The counts are kept in the
    run's evaluation.json. Raises ConfigError for a model that belongs to no run."""
    recipe = recipe_of(path)
    loaded = load_tasks(tasks, task_data, max_items) if tasks else {}
    sets = {name: [task.text(record) for record in items] for name, (task, items) in loaded.items()}
    for name, documents in named_texts(data, fit, str(find(path))).items() if data else ():
        sets[name] = [document.text for document in documents]
    if not sets:
        raise ConfigError("no text is named to compare with the training text", "name --tasks or --data")
    notify(f"reading the training text again, for runs of {n} words")
    with progress("training text", unit="documents") as bar:
        found = overlap(sets, texts_of(recipe, "train"), n, bar.advance)
    table = {name: one.as_dict() for name, one in found.items()}
    keep_evaluation(path, "overlap", table)
    return table
