"""fit_table: a TableCodec for a table, from its schema and its rows."""

from __future__ import annotations

from collections.abc import Sequence

from lilliput.base.errors import DataError
from lilliput.data.columns.categories import fit_categories
from lilliput.data.columns.codec import Codec
from lilliput.data.columns.dates import fit_dates, format_of, read_date
from lilliput.data.columns.numbers import Numbers, fit_numbers
from lilliput.data.columns.reading import Columns
from lilliput.data.columns.schema import TableSchema
from lilliput.data.columns.texts import Texts

LONGEST = 96
"""Most tokens of a text."""


def fit_codecs(schema: TableSchema, columns: Columns, childless: Columns | None = None) -> dict[str, Codec]:
    """Return the codec of each kept column. A profile counts once for each entity, so that a value of one entity with
    many rows is rare. `childless` are the profiles of parents without rows. Raises DataError that names the column."""
    profiles = _profiles(schema, columns, childless or {})
    found = {name: _fitted(schema, name, profiles.get(name, columns[name])) for name in schema.kept}
    for opening, total in schema.openings.items():
        found[opening] = _numbers(opening, columns[opening], schema.columns[total].decimals, schema.rare)
    return found


def _profiles(schema: TableSchema, columns: Columns, childless: Columns) -> Columns:
    """Return the values that heads of documents have: each profile once, and the time of a parent without rows, which
    is missing."""
    if schema.entity is None:
        return {}
    first: dict[str | None, int] = {}
    for row, owner in enumerate(columns[schema.entity]):
        first.setdefault(owner, row)
    found: Columns = {
        name: [*(columns[name][row] for row in first.values()), *childless.get(name, [])] for name in schema.profile
    }
    alone = len(next(iter(childless.values()), []))
    if schema.time is not None and alone:
        found[schema.time] = [*columns[schema.time], *[None] * alone]
    return found


def _numbers(name: str, values: Sequence[str | None], decimals: int, rare: int) -> Codec:
    try:
        return fit_numbers(values, decimals, "auto", rare)
    except DataError as error:
        raise DataError(f"the column '{name}': {error.message}", error.hint) from None


def _fitted(schema: TableSchema, name: str, values: Sequence[str | None]) -> Codec:
    column = schema.columns[name]
    missing = sum(value is None for value in values) / max(1, len(values))
    try:
        if column.kind == "number":
            return fit_numbers(values, column.decimals, column.codec, schema.rare)
        if column.kind == "date":
            form = column.format or format_of([value for value in values if value is not None])
            if form is None:
                raise DataError("its dates have no form that is known", "name one: format: '%d/%m/%Y'")
            return fit_dates(values, form, schema.rare)
        if column.kind == "text":
            return Texts(longest=LONGEST, missing=missing)
        return fit_categories(values, schema.rare)
    except DataError as error:
        raise DataError(f"the column '{name}': {error.message}", error.hint) from None


def fit_gaps(schema: TableSchema, columns: Columns, form: str) -> Numbers:
    """Return the codec of the days between two rows of an entity. Raises DataError for a table whose entities have one
    row each."""
    assert schema.entity is not None
    assert schema.time is not None
    last: dict[str | None, int] = {}
    gaps: list[str | None] = []
    pairs = zip(columns[schema.entity], columns[schema.time], strict=True)
    dated = sorted((owner or "", read_date(value, form).toordinal()) for owner, value in pairs if value is not None)
    for owner, day in dated:
        if owner in last:
            gaps.append(str(day - last[owner]))
        last[owner] = day
    if len(gaps) < 2 * schema.rare:
        raise DataError(
            f"the column '{schema.entity}' has too few rows an entity to learn the days between them",
            "leave entity and time out of the schema",
        )
    return fit_numbers(gaps, 0, "auto", schema.rare)
