"""compare_tables: one report of the quality of synthetic rows, and of what they and their model give away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np

from lilliput.base.errors import ConfigError, DataError, nearest
from lilliput.base.files import write_json, write_text
from lilliput.data.columns.reading import Columns, joined, read_batches
from lilliput.data.columns.relations import read_related
from lilliput.data.columns.schema import TableSchema
from lilliput.worlds.tables.leakage import (
    NEAR,
    Space,
    anonymity,
    check_queries,
    closer_to_train,
    copies,
    membership_by_distance,
)
from lilliput.worlds.tables.page import page
from lilliput.worlds.tables.quality import detection, ks, pairs, shapes, worth
from lilliput.worlds.tables.time_quality import through_time

MOST = 20_000
"""Rows of a table that distances are taken from and to. Of a larger table so many are drawn."""


def read_table(paths: Sequence[str], schema: TableSchema) -> Columns:
    """Return the columns of a schema's table that are compared, and the entity's. Raises DataError."""
    columns = joined(read_batches(paths, {name: schema.columns[name].missing for name in schema.read}))
    if not columns:
        raise DataError(f"{', '.join(map(str, paths))}: no rows")
    return columns


def read_both(paths: Sequence[str], schema: TableSchema, parents: Sequence[str] = ()) -> tuple[Columns, Columns]:
    """Return the columns of `read_table`. Of two tables, return the child's rows with the columns of their parents, and
    the parents without rows. Raises DataError."""
    if schema.parent is None:
        return read_table(paths, schema), {}
    columns, childless = read_related(schema, paths, parents)
    if not _size(columns):
        raise DataError(f"{', '.join(map(str, paths))}: no rows")
    return columns, childless


def children_per_parent(counts: Mapping[str, Sequence[int]]) -> dict[str, dict[str, float]]:
    """Return, for each side, the mean number of rows of a parent, the share of parents without rows, and the
    Kolmogorov-Smirnov statistic of the numbers beside those of training. `counts` are the rows of each parent."""
    real = np.array(counts["train"], float)
    sides = {name: np.array(each, float) for name, each in counts.items()}
    return {
        name: {"mean": float(each.mean()), "none": float((each == 0).mean()), "ks": ks(real, each)}
        for name, each in sides.items()
    }


def known_columns(schema: TableSchema, known: Sequence[str]) -> list[str]:
    """Return the columns that someone could know of a person: those that are named, else all categories. Raises
    ConfigError for a name that is no column."""
    for name in known:
        if name not in schema.kept:
            raise ConfigError(f"there is no column '{name}'{nearest(name, schema.kept)}", ", ".join(schema.kept))
    return list(known) or [name for name in schema.kept if schema.columns[name].kind == "category"]


def drawn(columns: Columns, count: int, seed: int) -> Columns:
    """Return so many rows at random; all of them where there are no more."""
    rows = len(next(iter(columns.values())))
    if rows <= count:
        return columns
    chosen = np.random.default_rng(seed).permutation(rows)[:count].tolist()
    return {name: [values[row] for row in chosen] for name, values in columns.items()}


def compare_tables(
    schema: TableSchema,
    train: Columns,
    test: Columns,
    made: Columns,
    *,
    target: str | None = None,
    known: Sequence[str] = (),
    seed: int = 0,
) -> dict[str, Any]:
    """Compare synthetic rows with the rows that their model was trained on and with held-out real rows.

    target  the column that models of trees predict; None: no such model is trained
    known   columns that someone could know of a person, for k-anonymity; none: all categories

    Every figure stands beside that of the held-out rows in place of the synthetic ones, which is what a perfect
    generator has. Raises ConfigError for fewer than 1,500 rows of a table, and MissingExtra without scikit-learn."""
    sizes = {"train": _size(train), "test": _size(test), "synthetic": _size(made)}
    check_queries(**sizes)
    if target is not None and target not in schema.kept:
        raise ConfigError(f"the target '{target}' is no column", f"columns: {', '.join(schema.kept)}")
    quality = {"synthetic": _quality(schema, train, made, seed), "held out": _quality(schema, train, test, seed)}
    found: dict[str, Any] = {"rows": sizes, "quality": quality}
    if target is not None:
        even = min(_size(train), _size(made))
        tables = {"real": drawn(train, even, seed), "synthetic": drawn(made, even, seed)}
        found["worth"] = {"target": target, **worth(schema, tables, test, target, seed)}
    if schema.entity is not None:
        found["time"] = {
            "synthetic": through_time(schema, train, made),
            "held out": through_time(schema, train, test),
        }
    found["leakage"] = _leakage(schema, train, test, made, seed)
    if names := known_columns(schema, known):
        found["anonymity"] = asdict(anonymity(train, names))
    return found


def _size(columns: Columns) -> int:
    return len(next(iter(columns.values())))


def _quality(schema: TableSchema, train: Columns, made: Columns, seed: int) -> dict[str, Any]:
    columns, both = shapes(schema, train, made), pairs(schema, train, made)
    return {
        "shape_error": mean(columns.values()),
        "pair_error": mean(both.values()) if both else 0.0,
        "detection_auc": detection(schema, drawn(train, MOST, seed), drawn(made, MOST, seed), seed),
        "columns": columns,
        "pairs": [{"columns": list(names), "error": error} for names, error in both.items()],
    }


def _leakage(schema: TableSchema, train: Columns, test: Columns, made: Columns, seed: int) -> dict[str, Any]:
    even = min(_size(train), _size(test), MOST)
    tables = {"train": drawn(train, even, seed), "test": drawn(test, even, seed), "made": drawn(made, MOST, seed)}
    space = Space(schema, tables, "train")
    return {
        "rows": {"train": even, "test": even},
        "closer_to_train": asdict(closer_to_train(space, "made", "train", "test")),
        "copies_of_train": asdict(copies(space, "made", "train")),
        "copies_of_test": asdict(copies(space, "made", "test")),
        "near_copies_of_train": asdict(copies(space, "made", "train", NEAR)),
        "near_copies_of_test": asdict(copies(space, "made", "test", NEAR)),
        "membership_auc": asdict(membership_by_distance(space, "made", "train", "test")),
    }


def write_report(found: dict[str, Any], folder: Path) -> Path:
    """Write the figures as JSON and as one offline page. Returns the page."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "tables.json", found)
    write_text(folder / "tables.html", page(found))
    return folder / "tables.html"
