"""Two tables as one: the rows of a child table, with the columns of the row of the parent table that they name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Sequence
from pathlib import Path

from lilliput.base.errors import ConfigError, DataError
from lilliput.data.columns.inferring import infer_schema
from lilliput.data.columns.reading import Columns, joined, read_batches, read_header, table_files
from lilliput.data.columns.schema import Relation, TableSchema


def infer_related(paths: Sequence[str], parents: Sequence[str], key: str, time: str | None = None) -> TableSchema:
    """Return the schema of a child table with a parent table. `key` is the child's column that names a parent, or
    CHILD=PARENT where the parent's column has another name. Raises DataError."""
    own, _, other = key.partition("=")
    other = other or own
    child = infer_schema(paths, own, time)
    files = table_files(parents)
    if other not in (header := read_header(files[0])):
        raise DataError(f"{files[0]} has no column '{other}'", f"it has: {', '.join(header)}; --key CHILD=PARENT")
    if header == [other]:
        raise DataError(f"{files[0]} has no column but '{other}'", "its rows are the same but for their key")
    parent = infer_schema(parents)
    name = _stem(files[0])
    names = {_free(column, child.columns, name): column for column in parent.columns if column != other}
    columns = {joint: parent.columns[column] for joint, column in names.items()}
    return TableSchema(
        columns={**columns, **child.columns},
        entity=own,
        time=time,
        profile=tuple(joint for joint, column in columns.items() if column.kind != "skip"),
        parent=Relation(name=name, child=_stem(table_files(paths)[0]), key=other, columns=names),
    )


def _stem(path: Path) -> str:
    return path.name.split(".")[0]


def _free(column: str, taken: Container[str], name: str) -> str:
    """Return the name of a parent's column beside the child's: its own one, where the child has no such column."""
    return f"{name}.{column}" if column in taken else column


def read_related(schema: TableSchema, paths: Sequence[str], parents: Sequence[str]) -> tuple[Columns, Columns]:
    """Return the columns of the child's rows, each with those of its parent, and the columns of parents without any
    row. Raises DataError for a key that two parents have, for a missing key, and for a key that no parent has."""
    relation, owner = schema.parent, schema.entity
    assert relation is not None
    assert owner is not None
    if not parents:
        raise ConfigError("the schema names a parent table, and no file of it is given", "name it: --parent FILE")
    given = {name: source for name, source in relation.columns.items() if name in schema.profile}
    missing = {source: schema.columns[name].missing for name, source in given.items()}
    above = joined(read_batches(parents, {**missing, relation.key: ("",)}))
    places = _places(above[relation.key], parents, relation.key)
    below = [name for name in schema.read if name not in relation.columns]
    rows = joined(read_batches(paths, {name: schema.columns[name].missing for name in below}))
    keys = rows.get(owner, [])
    _check_keys(keys, places, owner, relation.key)
    at = [places[key] for key in keys]
    columns: Columns = {name: [above[source][place] for place in at] for name, source in given.items()}
    has = set(at)
    alone = {key: place for key, place in places.items() if place not in has}
    childless: Columns = {owner: [*alone]}
    childless |= {name: [above[source][place] for place in alone.values()] for name, source in given.items()}
    return {**columns, **rows}, childless


def _places(keys: Sequence[str | None], parents: Sequence[str], name: str) -> dict[str | None, int]:
    shown = ", ".join(map(str, parents))
    if gone := sum(key is None for key in keys):
        raise DataError(f"{shown}: {gone:,} rows have no '{name}'", "give each parent a key")
    most, times = Counter(keys).most_common(1)[0] if keys else (None, 0)
    if times > 1:
        raise DataError(f"{shown}: {times:,} rows have the '{name}' '{most}'", "the key of a parent has to be its own")
    return {key: place for place, key in enumerate(keys)}


def _check_keys(keys: Sequence[str | None], places: dict[str | None, int], name: str, other: str) -> None:
    if gone := sum(key is None for key in keys):
        raise DataError(f"{gone:,} rows have no '{name}'", "leave them out: each row belongs to one parent")
    strangers = [key for key in keys if key not in places]
    if strangers:
        raise DataError(
            f"{len(strangers):,} of {len(keys):,} rows name a parent that is not there: '{strangers[0]}' in '{name}' "
            f"is no '{other}' of the parent table",
            "leave these rows out, or give the whole parent table",
        )


def divided(schema: TableSchema, columns: Columns, childless: Columns) -> tuple[Columns, Columns]:
    """Return joined rows and the parents without any as the two tables again, parent and child, by the names that their
    files have. Parents are in the order of their keys, which are numbers."""
    relation, owner = schema.parent, str(schema.entity)
    assert relation is not None
    first: dict[str | None, int] = {}
    for row, key in enumerate(columns[owner]):
        first.setdefault(key, row)
    keys = [*first, *childless[owner]]
    order = sorted(range(len(keys)), key=lambda place: int(keys[place] or 0))
    above: Columns = {relation.key: keys}
    for name, source in relation.columns.items():
        if name in schema.profile:
            above[source] = [*(columns[name][row] for row in first.values()), *childless[name]]
    below: Columns = {name: values for name, values in columns.items() if name not in relation.columns}
    return (
        {name: [values[place] for place in order] for name, values in above.items()},
        {name: below[name] for name in schema.columns if name in below},
    )


def children(schema: TableSchema, columns: Columns, childless: Columns) -> list[int]:
    """Return the number of rows of each parent."""
    owner = str(schema.entity)
    return [*Counter(columns[owner]).values(), *[0] * len(childless[owner])]
