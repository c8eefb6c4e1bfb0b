"""Row documents: the document in a row of a table, a text or an example, and errors that show the row."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from lilliput.base.errors import DataError, nearest
from lilliput.data.document import Document
from lilliput.data.example_rows import EXAMPLE_COLUMNS, FORMS, PLURAL, Form, Format, form_of, is_label, plain
from lilliput.data.examples import Example
from lilliput.data.messages import Unusable

FORMAT = (
    "what a row is: text, messages, completion, preference, rating, prompt, labelled or tagged; auto: a text where the "
    "column of the text is there, else the kind that the first row's columns make"
)
SHOWN = 300
"""Characters of a row in an error."""

Lengths = Callable[[Mapping[str, Any]], Mapping[str, float]]


class RowReader:
    """Reads the rows of one file. The first row decides what they are, and each later row has the same form.

    `lengths` gives the mean characters of text in each column, for the error of a row without the text's column."""

    def __init__(self, form: Format, column: str, keep: tuple[str, ...], lengths: Lengths | None = None):
        self.format: Format = form
        self.column, self.keep = column, keep
        self.lengths = lengths or (lambda row: mean_lengths(row, [row]))
        self.form: Form | None = None
        self._begun = False
        self._forms: dict[tuple[str, ...], Form | None] = {}

    def document(self, row: Mapping[str, Any], name: str) -> Document:
        """Return the document in a row. `name` is its id. Raises DataError for a row of another form, and for one
        whose values do not have the form."""
        if not self._begun:
            self.form, self._begun = first_form(row, self.column, self.format, name), True
        if self.form is None:
            return self._text(row, name)
        self._check(row, name, self.form)
        self._check_kept(row, name)
        try:
            example = self.form.example(row)
        except Unusable as error:
            raise bad_row(name, str(error), row, self.form) from None
        return Document(example.text, name, {key: row[key] for key in self.keep}, example=example)

    def _text(self, row: Mapping[str, Any], name: str) -> Document:
        """Return the text of a row, which is an example too where the row has a label."""
        for wanted in (self.column, *self.keep):
            if wanted not in row:
                raise missing_column(wanted, self.lengths(row), name)
        document = text_document(row, self.column, self.keep, name)
        label = row.get("label")
        if self.format == "labelled" and not is_label(label):
            expected = f"{PLURAL['labelled']}: {self.column}, label"
            raise bad_row(name, f"its label is {label!r}" if "label" in row else "it lacks 'label'", row, expected)
        if self.format == "text" or not document.text or not is_label(label):
            return document
        columns = {key: plain(value) for key, value in row.items() if key not in (self.column, "label")}
        parts = {"text": document.text, "pair": None, "label": int(label) if isinstance(label, bool) else label}
        return Document(document.text, name, document.meta, example=Example("labelled", parts, columns))

    def _check(self, row: Mapping[str, Any], name: str, form: Form) -> None:
        """Raise DataError for a row that lacks a column of the form, or whose columns make another form."""
        columns = tuple(row)
        if columns not in self._forms:
            self._forms[columns] = form_of(columns, "auto" if self.format == "auto" else form.kind)
        if self._forms[columns] is form:
            return
        missing = [column for column in form.columns if column not in row]
        other = self._forms[columns]
        problem = f"it lacks {_named(missing)}" if missing else "it mixes columns of several kinds"
        if other is not None and not missing:
            problem += f", because {_named(set(other.columns) - set(form.columns))} would make it one of {other}"
        raise bad_row(name, problem, row, form)

    def _check_kept(self, row: Mapping[str, Any], name: str) -> None:
        for wanted in self.keep:
            if wanted not in row:
                raise missing_column(wanted, mean_lengths(row, [row]), name)


def first_form(row: Mapping[str, Any], column: str, form: Format, name: str) -> Form | None:
    """Return the form of a file's rows by its first row; None for texts. Raises DataError where the columns are those
    of an example in part, or do not make an example of the kind that is asked for."""
    if form == "text" or (column in row and form in ("auto", "labelled")):
        return None
    found = form_of(row, form)
    if found is not None:
        return found
    if form != "auto":
        known = " or ".join(f"({', '.join(each.columns)})" for each in FORMS if each.kind == form)
        raise DataError(
            f"{name}: rows of {PLURAL[form]} have the columns {known}; this row is {cut(row)}",
            "leave data.sources.0.format away to have the kind recognised, or rename the columns",
        )
    if not EXAMPLE_COLUMNS & set(row):
        return None  # a text whose column is missing, which is the error to report
    near = min(FORMS, key=lambda each: _distance(each, row))
    missing = [wanted for wanted in near.columns if wanted not in row]
    raise DataError(
        f"{name}: {PLURAL[near.kind]} have the columns {', '.join(near.columns)}, and this row lacks "
        f"{_named(missing)}: {cut(row)}",
        f"add the column, or name the column of a text: data.sources.0.column={next(iter(row))}",
    )


def _distance(form: Form, row: Mapping[str, Any]) -> tuple[bool, int, int]:
    """Return how far a row is from a form that it does not have: the columns that it lacks, then those that it has."""
    missing = sum(column not in row for column in form.columns)
    return not missing, missing, missing - len(form.columns)


def described(row: Mapping[str, Any], column: str, form: Format) -> str:
    """Return words for the examples that a file with this first row holds; "" for texts without labels. Raises
    DataError as `first_form` does."""
    found = first_form(row, column, form, "row 1")
    if found is not None:
        return f"rows are {found}"
    labelled = form != "text" and column in row and is_label(row.get("label"))
    return f"rows are {PLURAL['labelled']}: {column}, label" if labelled else ""


def counted(kinds: Counter[str], kind: str) -> str:
    """Return the number of files of a kind, where files differ."""
    return f" ({kinds[kind]:,} files)" if len(kinds) > 1 else ""


def bad_row(name: str, problem: str, row: Mapping[str, Any], form: Form | str) -> DataError:
    """Return the error for a row that is none of a file's examples."""
    return DataError(
        f"{name}: {problem}; the rows of this file are {form}; this row is {cut(row)}",
        "mend the row or leave it out; rows of another kind belong in a file of their own",
    )


def cut(row: Mapping[str, Any]) -> str:
    """Return a row as JSON, cut after SHOWN characters."""
    shown = json.dumps(row, ensure_ascii=False, default=str)
    return shown if len(shown) <= SHOWN else f"{shown[:SHOWN]} ..."


def _named(columns: Iterable[str]) -> str:
    return ", ".join(f"'{column}'" for column in sorted(columns))


def text_document(row: Mapping[str, Any], column: str, keep: tuple[str, ...], name: str) -> Document:
    """Return the document in a row. Raises DataError when a column is missing, or its value is not text."""
    for wanted in (column, *keep):
        if wanted not in row:
            raise missing_column(wanted, mean_lengths(row, [row]), name)
    text = row[column]
    if not isinstance(text, str | None):
        raise DataError(
            f"{name}: the column '{column}' holds {type(text).__name__} values, not text", others(row, column)
        )
    return Document(text or "", name, {key: row[key] for key in keep})


def mean_lengths(columns: Iterable[str], rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return the mean characters of text in each of `columns`; 0 for a column without text."""
    total = {key: sum(len(row[key]) for row in rows if isinstance(row.get(key), str)) for key in columns}
    return {key: count / len(rows) for key, count in total.items()}


def missing_column(column: str, lengths: Mapping[str, float], name: str) -> DataError:
    """Return the error for a missing column. `lengths` are the characters of text in the known columns. The error
    suggests the column with the longest text, or a delimiter where the header was read as a single column."""
    known = list(lengths)
    problem = f"{name}: no column '{column}'"
    columns = f"the columns are: {', '.join(known) or 'none'}"
    delimiter = next((mark for mark in ";\t|," if len(known) == 1 and mark in known[0]), None)
    if delimiter:
        typed = r'"\t"' if delimiter == "\t" else delimiter  # as YAML spells a tab
        return DataError(
            f"{problem}; {columns}", f"name the delimiter: {shlex.quote(f'data.sources.0.delimiter={typed}')}"
        )
    problem = f"{problem}{nearest(column, known)}; {columns}"
    longest = max(known, key=lambda key: lengths[key], default="text")
    return DataError(problem, f"name the column with the text: {shlex.quote(f'data.sources.0.column={longest}')}")


def others(row: Mapping[str, Any], column: str) -> str:
    """Return a hint that names the columns with text, and the option that chooses the longest."""
    texts = {key: len(value) for key, value in row.items() if isinstance(value, str) and key != column}
    if not texts:
        return "no column of this row holds text"
    longest = max(texts, key=lambda key: texts[key])
    return f"columns with text: {', '.join(texts)}; choose with {shlex.quote(f'data.sources.0.column={longest}')}"
