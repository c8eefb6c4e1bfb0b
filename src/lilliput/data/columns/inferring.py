"""infer_schema: the kinds of a table's columns, guessed from its rows, for a person to look through and edit."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import islice

from lilliput.base.errors import DataError
from lilliput.data.columns.categories import MOST
from lilliput.data.columns.dates import format_of
from lilliput.data.columns.reading import Columns, joined, read_batches, read_header, table_files
from lilliput.data.columns.schema import Column, TableSchema

ROWS = 200_000
"""A schema is inferred from so many first rows."""
NONE = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "?", "-")
"""Values of a number or date column that mean that there is none."""
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
CODE = re.compile(r"0\d+")
"""A number that begins with 0 is a name, such as a postal code."""
WORDS = 4
"""A category's values have fewer words than this on average, unless there are few of them."""
FEW = 50
DECIMALS = 6
ENTITY = re.compile(r"(.*[_ ])?(id|uuid|key|user|customer|account|client|patient|person|iban)", re.IGNORECASE)
TIME = re.compile(r".*(time|date|day|stamp|when|at)$", re.IGNORECASE)


def infer_schema(paths: Sequence[str], entity: str | None = None, time: str | None = None) -> TableSchema:
    """Return the schema of a table. `entity` and `time` name the columns by which rows belong together and are ordered;
    without them rows stand alone. A column in which nearly every row has a value of its own, and none is a text, a
    number or a date, is left out: it names rows. Raises DataError."""
    files = table_files(paths)
    names = read_header(files[0])
    for name in (entity, time):
        if name is not None and name not in names:
            raise DataError(f"{files[0]} has no column '{name}'", f"it has: {', '.join(names)}")
    batches = read_batches(paths, dict.fromkeys(names, ()))
    columns = joined(islice(batches, max(1, ROWS // 65536)))
    kinds = {name: kind_of(values) for name, values in columns.items()}
    if entity is not None:
        kinds[entity] = Column(kind="skip")
        if time is not None and kinds[time].kind != "date":
            raise DataError(
                f"'{time}' does not hold dates of one known form", "name its format in a schema: lilliput tables schema"
            )
    profile = _profile(columns, entity, time, kinds) if entity else ()
    return TableSchema(columns=kinds, entity=entity, time=time, profile=profile)


def kind_of(values: Sequence[str | None]) -> Column:
    """Return the kind of a column's values."""
    counts = Counter(value for value in values if value is not None)
    known = [value for value in counts if value not in NONE]
    gone = ("", *(value for value in NONE[1:] if value in counts))
    if not known:
        return Column(kind="skip", missing=gone)
    if all(NUMBER.fullmatch(value) for value in known) and not any(CODE.fullmatch(value) for value in known):
        return Column(kind="number", decimals=max(map(_decimals, known)), missing=gone)
    if (form := format_of(known)) is not None:
        return Column(kind="date", format=form, missing=gone)
    total = sum(counts.values())
    words = sum(len(value.split()) * count for value, count in counts.items()) / total
    if len(counts) <= FEW or (words < WORDS and len(counts) <= MOST and len(counts) < total / 10):
        return Column(kind="category")
    if words < 1.5 and len(counts) > 0.9 * total:
        return Column(kind="skip")  # a name for each row
    return Column(kind="text")


def _decimals(value: str) -> int:
    if "e" in value.lower():
        return DECIMALS
    return min(DECIMALS, len(value.partition(".")[2].rstrip("0")))


def _profile(columns: Columns, entity: str, time: str | None, kinds: dict[str, Column]) -> tuple[str, ...]:
    """Return the columns that have one value for each entity, if entities have several rows."""
    owners = columns[entity]
    if len(set(owners)) == len(owners):
        return ()
    found = []
    for name, values in columns.items():
        if name in (entity, time) or kinds[name].kind == "skip":
            continue
        first: dict[str | None, str | None] = {}
        if all(first.setdefault(owner, value) == value for owner, value in zip(owners, values, strict=True)):
            found.append(name)
    return tuple(found)


def suggestions(columns: Sequence[str], schema: TableSchema) -> list[str]:
    """Return hints for a person: which columns could name an entity or a time."""
    hints = []
    if schema.entity is None:
        named = [name for name in columns if ENTITY.fullmatch(name)]
        dated = [name for name in columns if schema.columns[name].kind == "date" and TIME.fullmatch(name)]
        if named and dated:
            hints.append(f"rows of one {named[0]} through time: --entity {named[0]} --time {dated[0]}")
    return hints
