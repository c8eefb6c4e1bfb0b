"""Tasks through lm-evaluation-harness: its own prompts and marking, on the saved folder and our items."""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import yaml

from lilliput.base.console import console
from lilliput.base.errors import ConfigError, MissingExtra
from lilliput.evaluation.benchmarks.task import Record, Task

NAMES = {"acc": "acc", "acc_norm": "acc_norm", "greedy": "acc", "mass": "acc"}
"""Our metrics by the harness' names."""


def through_harness(
    folder: Path, tasks: Mapping[str, tuple[Task, Sequence[Record]]], device: str = "cpu", batch_size: int = 16
) -> dict[str, dict[str, list[float]]]:
    """Return {task: {metric: a score an item}} of the Hugging Face folder `folder` on the given records, in no certain
    order.

    The harness' own task is used. Only the source of its records is changed, to a file that is written for this call.
    Tasks of many parts (BLiMP, MMLU) are the harness' tasks of these parts, averaged over items. Raises MissingExtra
    without the package, and ConfigError for a task that the harness does not know.
    """
    with _quiet():
        try:
            from lm_eval import simple_evaluate
            from lm_eval import tasks as known
            from lm_eval.models.huggingface import HFLM
        except ImportError as error:
            raise MissingExtra(str(error.name), "eval", "--through lm-eval") from None
        parts = _parts(tasks)
        # Its whole index is 14,000 files; these folders are a few dozen.
        folders = {str(Path(known.__file__).parent / part.rpartition("/")[0]) for part in parts}
        manager = known.TaskManager(include_path=sorted(folders), include_defaults=False)
        with tempfile.TemporaryDirectory() as place:
            specs = [_spec(part, parts[part][1], Path(place), manager.task_index) for part in parts]
            make: Any = (
                HFLM  # a decorator hides its arguments from the type checker, and the arguments of simple_evaluate
            )
            run: Any = simple_evaluate
            model = make(pretrained=str(folder), device=device, batch_size=batch_size)
            found = run(model=model, tasks=specs, task_manager=manager, bootstrap_iters=0)
    return {name: _collected(name, task.metrics, parts, found["samples"]) for name, (task, _) in tasks.items()}


def _parts(tasks: Mapping[str, tuple[Task, Sequence[Record]]]) -> dict[str, tuple[str, list[Record]]]:
    """Return the harness' tasks as FOLDER/NAME, each with its records and the name of our task."""
    parts: dict[str, tuple[str, list[Record]]] = {}
    for name, (task, records) in tasks.items():
        for record in records:
            known = task.harness_task(record)
            if known is None:
                raise ConfigError(
                    f"lm-evaluation-harness has no task with the items and the marking of '{name}'",
                    "leave out --through",
                )
            parts.setdefault(known, (name, []))[1].append(record)
    return parts


def _spec(part: str, records: Sequence[Record], place: Path, index: Mapping[str, Any]) -> str:
    """Return a task file that includes the harness' own task and replaces its records."""
    name = part.rpartition("/")[2]
    if name not in index:
        raise ConfigError(f"this version of lm-evaluation-harness has no task '{part}'", "leave out --through")
    rows = place / f"{name}.jsonl"
    rows.write_text("".join(json.dumps(row) + "\n" for row in records), encoding="utf-8")
    splits = ("train", "validation", "test", "dev")
    changes = {
        "include": str(index[name].yaml_path),
        "task": name,
        "dataset_path": "json",
        "dataset_name": None,
        "dataset_kwargs": {"data_files": dict.fromkeys(splits, str(rows)), "cache_dir": str(place / "cache")},
        "num_fewshot": 0,
    }
    made = rows.with_suffix(".yaml")
    made.write_text(yaml.safe_dump(changes), encoding="utf-8")
    return str(made)


def _collected(
    name: str,
    metrics: Sequence[str],
    parts: Mapping[str, tuple[str, list[Record]]],
    samples: Mapping[str, list[dict[str, Any]]],
) -> dict[str, list[float]]:
    rows = [row for part, (owner, _) in parts.items() if owner == name for row in samples[part.rpartition("/")[2]]]
    return {metric: [float(row[NAMES[metric]]) for row in rows] for metric in metrics}


@contextmanager
def _quiet() -> Iterator[None]:
    """Send the harness' output to standard error. It prints on standard output and through the root logger, and
    standard output is reserved for our result."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with redirect_stdout(console.file):
            yield
    finally:
        logging.disable(before)
