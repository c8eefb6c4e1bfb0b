"""Canaries: rows that no one has, planted before training and looked for after it (Carlini et al. 2019, The Secret
Sharer, arXiv:1802.08232)."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np

from lilliput.base.errors import ConfigError, DataError
from lilliput.base.files import write_json
from lilliput.base.reading import read_json
from lilliput.data.columns.reading import Columns
from lilliput.data.columns.schema import TableSchema
from lilliput.data.columns.table import Layout
from lilliput.model.transformer import Model
from lilliput.worlds.tables.leakage import QUERIES
from lilliput.worlds.tables.likelihood import nats_of


@dataclass(frozen=True, slots=True)
class Canary:
    """A row, the values by column, and how often it was planted."""

    row: dict[str, str | None]
    repeats: int


def combined(columns: Columns, names: Sequence[str], count: int, rng: np.random.Generator) -> Columns:
    """Return rows whose values were drawn from each column by itself: possible values, in combinations of chance."""
    rows = len(columns[names[0]])
    return {name: [columns[name][row] for row in rng.integers(rows, size=count)] for name in names}


def plant(
    schema: TableSchema, columns: Columns, count: int, repeats: Sequence[int], seed: int = 0
) -> tuple[Columns, list[Canary]]:
    """Return a table with canaries, `count` for each number of repeats, and the canaries. A canary is a combination of
    values that no row has. Raises ConfigError for a table of entities, and where no such combination is found."""
    if schema.entity is not None:
        raise ConfigError("canaries are rows that stand alone, and the table has entities")
    names, rng = schema.kept, np.random.default_rng(seed)
    known = set(zip(*(columns[name] for name in names), strict=True))
    found: list[Canary] = []
    for number in repeats:
        for _ in range(count):
            for _ in range(100):
                row = tuple(values[0] for values in combined(columns, names, 1, rng).values())
                if row not in known:
                    break
            else:
                raise ConfigError("every combination of values is a row of the table", "a canary would be no secret")
            known.add(row)
            found.append(Canary(dict(zip(names, row, strict=True)), number))
    added = [canary.row for canary in found for _ in range(canary.repeats)]
    order = rng.permutation(len(columns[names[0]]) + len(added)).tolist()
    planted: Columns = {}
    for name in names:
        values = [*columns[name], *(row[name] for row in added)]
        planted[name] = [values[place] for place in order]
    return planted, found


def write_canaries(path: Path, canaries: Sequence[Canary]) -> None:
    """Write canaries as JSON."""
    write_json(path, [asdict(canary) for canary in canaries])


def read_canaries(path: Path) -> list[Canary]:
    """Read canaries. Raises DataError for another file."""
    try:
        found = [Canary(dict(each["row"]), int(each["repeats"])) for each in read_json(path)]
    except (KeyError, TypeError, ValueError, json.JSONDecodeError) as error:
        raise DataError(f"{path} holds no canaries: {error}", "plant some: lilliput tables canaries FILE") from None
    if not found:
        raise DataError(f"{path} holds no canaries", "plant some: lilliput tables canaries FILE")
    return found


def exposure(
    model: Model, layout: Layout, columns: Columns, canaries: Sequence[Canary], made: Columns, seed: int = 0
) -> dict[str, Any]:
    """Return, for each number of repeats, the mean exposure of its canaries, log2 of how much earlier the model ranks
    them among QUERIES fresh combinations of values than chance would (about 1.4 bits on average where it knows nothing
    of them, and at most log2(QUERIES + 1)), and how many of them are among the synthetic rows."""
    names = [group.name for group in layout.body]
    if lacking := {*names} - {*canaries[0].row}:
        raise DataError(f"the canaries lack the column '{min(lacking)}'", "give those of the run's own table")
    fresh = np.sort(nats_of(model, layout, combined(columns, names, QUERIES, np.random.default_rng(seed))))
    rows = {name: [canary.row[name] for canary in canaries] for name in names}
    ranks = 1 + np.searchsorted(fresh, nats_of(model, layout, rows))
    bits = [math.log2((QUERIES + 1) / rank) for rank in ranks.tolist()]
    there = set(zip(*(made[name] for name in names), strict=True))
    groups: dict[int, list[int]] = {}
    for place, canary in enumerate(canaries):
        groups.setdefault(canary.repeats, []).append(place)
    return {
        str(repeats): {
            "canaries": len(places),
            "exposure_bits": mean(bits[place] for place in places),
            "generated": sum(tuple(rows[name][place] for name in names) in there for place in places),
        }
        for repeats, places in sorted(groups.items())
    }
