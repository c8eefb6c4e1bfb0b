"""train_extractor: a run that fills templates, from made examples and files of one's own."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lilliput.assembly.recipe import load
from lilliput.assembly.training import train
from lilliput.base.console import print_line
from lilliput.base.errors import ConfigError
from lilliput.base.files import sha256, write_json
from lilliput.base.reading import read_json
from lilliput.generation.run import Run
from lilliput.runs.finding import RUNS
from lilliput.runs.names import RECIPE
from lilliput.worlds.extraction.making import KINDS, make_examples, makers_of, read_examples, write_rows

ROWS = "extraction.jsonl"
"""The file, in a run's folder, of the rows that it is trained on."""
CHOICE = "extraction.json"
"""The file, in a run's folder, of what these rows were made of."""
COUNT = 16_000


def train_extractor(
    files: Sequence[str | Path] = (),
    overrides: Sequence[str] = (),
    *,
    kinds: Sequence[str] = KINDS,
    tagged: Sequence[str] = (),
    count: int = COUNT,
    name: str = "extractor",
    runs: str | Path | None = None,
    notify: Callable[[str], None] = print_line,
    live: bool = True,
) -> Run:
    """Train a model that extracts into runs/<name>, by the recipe `extract` and overrides, on `count` made examples of
    built-in `kinds` and of the entities in `tagged` (CoNLL files), and on all examples of `files` (JSON lines of text,
    template and values). The same call again resumes a run that was interrupted. Raises LilliputError."""
    given = read_examples(files) if files else []
    makers = makers_of(kinds, tagged)
    if not makers and not given:
        raise ConfigError("there is nothing to train on", f"give a kind ({', '.join(KINDS)}) or a file of examples")
    folder = Path(runs or RUNS) / name
    rows, kept = folder / ROWS, folder / CHOICE
    choice: dict[str, Any] = {"kinds": list(kinds), "tagged": list(map(str, tagged)), "count": count}
    choice["files"] = {str(path): sha256(Path(path)) for path in (*files, *tagged)}
    begun = (folder / RECIPE).is_file()
    if begun and not (rows.is_file() and kept.is_file()):
        raise ConfigError(f"{folder} is a run of something else", "give another --name")
    if begun and read_json(kept) != choice:
        raise ConfigError(f"{folder} is a run on other examples", "give another --name, or delete the folder")
    if not begun:
        notify(f"making {count if makers else 0:,} examples, and reading {len(given):,}")
        folder.mkdir(parents=True, exist_ok=True)
        write_rows([*(make_examples(makers, count) if makers else ()), *given], rows)
        write_json(kept, choice)
    source = {"kind": "jsonl", "paths": [str(rows)]}
    recipe = load("extract", [f"data.sources={json.dumps([source])}", f"name={name}", *overrides])
    return train(recipe, runs=runs or RUNS, notify=notify, live=live)
