"""Records of a task: from a file, from a folder in which files are found by name, from the hub, or made by the task."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lilliput.base import seeds
from lilliput.base.errors import DataError, FileError
from lilliput.base.reading import from_json
from lilliput.data.files import kind_suffix, text_blocks
from lilliput.data.hub import Hub
from lilliput.data.parquet import whole_rows
from lilliput.data.tables import Csv, Jsonl
from lilliput.evaluation.benchmarks.task import TASKS, Record, Task

TRAIN = re.compile(r"(?<![a-z])train(?:ing)?(?![a-z])")
"""The name of a training split. "constraint", as in a set of BLiMP, is none."""


def find_files(task: Task, folder: Path) -> list[Path]:
    """Return the files of `task` below `folder`. Files of training splits count only where there are no others. The
    list is empty for a task without files."""
    for pattern in task.files:
        found = [path for path in sorted(folder.rglob(pattern)) if path.is_file()]
        held_out = [path for path in found if not TRAIN.search(path.name.lower())]
        if held_out or found:
            return held_out or found
    return []


def available(folder: Path) -> list[str]:
    """Return the names of the tasks that have files in a folder. 'blimp' counts only where a name holds the word,
    because its files are named after their contrasts."""
    names = [name for name in TASKS if name != "blimp" and find_files(TASKS[name](), folder)]
    return sorted([*names, "blimp"] if any(folder.rglob("*blimp*")) else names)


def records(name: str, source: str | Path | None, max_items: int | None = None, seed: int = 0) -> list[Record]:
    """Return the records of the task `name` from `source` (a file, or a folder with files named after the task), or
    from the Hugging Face hub where `source` is None. A task that makes its records needs no source, and
    reads a file alone. With `max_items`,
    `seed` draws the same records every time.

    Raises ConfigError for an unknown task, and DataError where there are no records or a record lacks a field."""
    task = TASKS[name]()
    found = list(_checked(task, name, source))
    if not found:
        raise DataError(f"{source or 'the hub'} holds no record of '{name}'")
    if max_items is None or max_items >= len(found):
        return found
    chosen = sorted(sorted(range(len(found)), key=lambda i: seeds.derive(seed, name, i))[:max_items])
    return [found[i] for i in chosen]


def _checked(task: Task, name: str, source: str | Path | None) -> Iterator[Record]:
    for where, file, raw in _raw(task, name, source):
        try:
            made = task.records(raw, file)
        except KeyError as error:
            raise _missing(where, name, [str(error.args[0])], raw) from None
        except (IndexError, ValueError, TypeError, AttributeError) as error:
            raise DataError(f"{where} is no record of '{name}': {error}") from None
        for record in made:
            missing = [field for field in task.fields if field not in record]
            if missing:
                raise _missing(where, name, missing, record)
            yield record


def _missing(where: str, name: str, fields: list[str], record: Mapping[str, Any]) -> DataError:
    return DataError(
        f"{where} is no record of '{name}': it has no field {', '.join(fields)} (it has: {', '.join(record)})"
    )


def _raw(task: Task, name: str, source: str | Path | None) -> Iterator[tuple[str, Path | None, Mapping[str, Any]]]:
    """Yield (place, file, record) of every record."""
    if not (source and Path(source).is_file()) and (made := task.made()) is not None:
        yield from ((f"{name}:{number}", None, row) for number, row in enumerate(made))
        return
    if source is None:
        if task.hub is None:
            raise DataError(
                f"'{name}' is not read from the hub",
                f"name a file or folder that holds it: --task-data FOLDER ({name})",
            )
        hub = Hub(name=task.hub.name, config=task.hub.config, split=task.hub.split)
        for number, row in enumerate(hub.rows()):
            yield f"hf:{task.hub.name}:{number}", None, row
        return
    path = Path(source).expanduser()
    if not path.exists():
        raise DataError(
            f"there is no file or folder {path}", "name a folder that holds the benchmarks: --task-data FOLDER"
        )
    files = [path] if path.is_file() else find_files(task, path)
    if not files:
        raise DataError(
            f"the folder {path} holds no file of '{name}' (looked for {', '.join(task.files)})",
            f"it holds: {', '.join(available(path)) or 'no known task'}",
        )
    for file in files:
        for number, row in read_rows(file):
            yield f"{file}:{number}", file, row


def read_rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield (number from 1, record) of a JSONL, CSV, Parquet or JSON file. A JSON file is a list of objects, or an
    object whose 'data' is such a list. Raises DataError."""
    kind = kind_suffix(path)
    if kind in Csv.suffixes:
        yield from Csv(paths=(str(path),)).rows(path, "strict")
    elif kind == ".parquet":
        yield from enumerate(_parquet(path), start=1)
    elif kind == ".json":
        yield from enumerate(_json(path), start=1)
    else:
        yield from Jsonl(paths=(str(path),)).rows(path, "strict")


def _parquet(path: Path) -> list[dict[str, Any]]:
    return [dict(row) for row in whole_rows(path)]


def _json(path: Path) -> list[dict[str, Any]]:
    try:
        value = from_json("".join(text_blocks(path, "strict")))
    except FileError as error:
        raise DataError(f"{path} {error.message}") from None
    rows = value.get("data") if isinstance(value, dict) else value
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise DataError(f"{path} holds no list of objects")
    return rows
