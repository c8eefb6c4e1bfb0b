"""Documents of a table as token ids: one row, or all rows of an entity in the order of their time."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

import numpy as np

from lilliput.base.errors import DataError
from lilliput.data.columns.dates import FORMATS, format_of, read_date
from lilliput.data.columns.reading import Columns
from lilliput.data.columns.schema import TableSchema
from lilliput.data.columns.table import Layout

SEPARATOR, NONE = "\x1f", "\x00"
"""Between the values of a row, and in place of a missing value, in the text by which documents are told apart."""


def text_of(columns: Columns, names: tuple[str, ...], row: int) -> str:
    """Return a text that is the same for equal rows alone."""
    return SEPARATOR.join(NONE if (value := columns[name][row]) is None else value for name in names)


def single_rows(layout: Layout, columns: Columns) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the text and the ids of each row of a table whose rows stand alone, without the marks around them."""
    names = layout.codec.table.kept
    count = len(columns[names[0]])
    for row, ids in enumerate(layout.rows_of(layout.body, columns, count)):
        yield text_of(columns, names, row), ids


def with_openings(table: TableSchema, columns: Columns) -> Columns:
    """Return the columns with what each running sum was before an entity's first row (TableSchema.openings). Raises
    DataError for a sum that is not that of the row before it and the row's amount."""
    if not table.balance:
        return columns
    _, order = _days(table, columns)
    owners = columns[str(table.entity)]
    found = dict(columns)
    for opening, total in table.openings.items():
        scale = 10 ** table.columns[total].decimals
        sums, parts = (
            [round(float(value or 0) * scale) for value in columns[name]] for name in (total, table.balance[total])
        )
        begins: list[str | None] = [None] * len(order)
        for owner, places in groupby(order, key=lambda row: owners[row]):
            rows = list(places)
            before = start = sums[rows[0]] - parts[rows[0]]
            for row in rows:
                if abs(before + parts[row] - sums[row]) > 1:
                    raise DataError(
                        f"'{total}' is no running sum of '{table.balance[total]}': of '{owner}' it is "
                        f"{sums[row] / scale} after {before / scale} and {parts[row] / scale}",
                        "leave it out of `balance`",
                    )
                before = sums[row]
                begins[row] = f"{start / scale:.{table.columns[total].decimals}f}"
        found[opening] = begins
    return found


def entities(
    layout: Layout, columns: Columns, most_tokens: int, childless: Columns | None = None
) -> Iterator[tuple[str, str, np.ndarray]]:
    """Yield the entity, the text and the ids of each document of a table of entities. A document of more than
    `most_tokens` goes on in another one, which begins with the profile again and half of the rows before it.
    `childless` are the profiles of parents without rows."""
    table = layout.codec.table
    assert table.entity is not None
    owners = columns[table.entity]
    columns = with_openings(table, columns)
    days, order = _days(table, columns)
    per_document = rows_per_document(layout, most_tokens)
    for owner, places in groupby(order, key=lambda row: owners[row]):
        rows = list(places)
        step = per_document if len(rows) <= per_document else max(1, per_document // 2)
        for start in range(0, len(rows), step):
            part = rows[start : start + per_document]
            yield owner or "", _text(columns, table.kept, part), _document(layout, columns, part, days, start > 0)
            if start + per_document >= len(rows):
                break
    if childless:
        count = len(next(iter(childless.values())))
        # No first row, so no time of it.
        heads = {group.name: childless.get(group.name, [None] * count) for group in layout.head}
        for row, ids in enumerate(layout.rows_of(layout.head, heads, count)):
            # Few profiles differ. With their key, equal ones do not all fall into the validation split.
            yield "", text_of(childless, (*table.profile, table.entity), row), ids


def rows_per_document(layout: Layout, most_tokens: int) -> int:
    """Return how many rows of an entity a document of so many tokens holds for certain."""
    return max(1, (most_tokens - layout.head_tokens - 2) // layout.row_tokens)


def _text(columns: Columns, names: tuple[str, ...], rows: list[int]) -> str:
    return "\n".join(text_of(columns, names, row) for row in rows)


def _days(table: TableSchema, columns: Columns) -> tuple[np.ndarray, list[int]]:
    """Return the day of each row, and the rows in the order of entity and time."""
    time, owners = table.time, columns[str(table.entity)]
    places: dict[str | None, int] = {}
    number = [places.setdefault(owner, len(places)) for owner in owners]
    if time is None:
        return np.zeros(len(owners), np.int64), sorted(range(len(owners)), key=lambda row: number[row])
    form = table.columns[time].format or format_of([value or "" for value in columns[time]]) or FORMATS[0]
    dates = [read_date(value or "", form) for value in columns[time]]
    order = sorted(range(len(owners)), key=lambda row: (number[row], dates[row]))
    return np.array([date.toordinal() for date in dates]), order


def _document(layout: Layout, columns: Columns, rows: list[int], days: np.ndarray, later: bool) -> np.ndarray:
    """Return the ids of one document."""
    head = {group.name: [columns[group.name][rows[0]]] for group in layout.head}
    parts = [next(layout.rows_of(layout.head, head, 1))]
    if later:
        parts.append(np.array([layout.continues]))
    chosen = {group.name: [columns[group.name][row] for row in rows] for group in layout.body}
    mark = np.array([layout.row])
    made = []
    for group in layout.body:
        made.append(
            gap_ids(layout, chosen[group.name], days[rows])
            if group is layout.gap
            else layout.ids_of(group, chosen[group.name])
        )
    for row in range(len(rows)):
        parts += [mark, *(part[row] for part in made)]
    return np.concatenate(parts)


def gap_ids(layout: Layout, values: list[str | None], days: np.ndarray) -> np.ndarray:
    """Return the ids of the time of an entity's rows: days since the row before, the day of the week, time of day."""
    gap, codec = layout.gap, layout.codec.time
    assert gap is not None
    assert codec is not None
    passed = np.diff(days, prepend=days[:1])
    codes = [gap.codec.encode([str(number) for number in passed.tolist()])]
    codes.append(((days - 1) % 7)[:, None])  # day 1 of the calendar was a Monday
    codes.append(codec.encode(values)[:, 3:])
    return gap.ids(np.concatenate(codes, 1))
