"""Dates: a code for the year, the month and the day, and for hour, minute and second where there is a time."""

from __future__ import annotations

import calendar
from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import numpy as np
from pydantic import Field

from lilliput.base.errors import ConfigError, DataError
from lilliput.data.columns.codec import Codec, bounds, with_zero

FORMATS = (
    "%Y-%m-%d", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%SZ",
    "%Y/%m/%d", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%d.%m.%Y %H:%M", "%m/%d/%Y %H:%M", "%d/%m/%Y %H:%M",
)  # fmt: skip
"""Formats that are recognised. Of a date that is right in two of them, the first is meant: name another one."""
TIMES = ("%H", "%M", "%S")


class Dates(Codec):
    """Each part of a date is a code. A day beyond the month's end becomes the last day of the month."""

    kind: Literal["dates"] = "dates"
    format: str = Field(description="as for strptime")
    years: tuple[int, ...] = Field(description="the years that occur, in order")

    @property
    def times(self) -> int:
        """The number of parts of the time of day: up to hour, minute and second."""
        return next((3 - place for place, mark in enumerate(reversed(TIMES)) if mark in self.format), 0)

    @property
    def labels(self) -> list[list[str]]:
        month = [calendar.month_abbr[number] for number in range(1, 13)]
        day = [f"day {number}" for number in range(1, 32)]
        times = [
            [f"{number:02d} {unit}" for number in range(most)] for unit, most in (("h", 24), ("min", 60), ("s", 60))
        ]
        return list(map(self.with_missing, [[str(year) for year in self.years], month, day, *times[: self.times]]))

    def encode(self, values: Sequence[str | None]) -> np.ndarray:
        gone = np.array([value is None for value in values], bool)
        if gone.any() and not self.missing:
            raise DataError(
                f"row {int(np.argmax(gone)) + 1} has no date, and the column was fitted without missing ones"
            )
        low, high = self.years[0], self.years[-1]
        known = np.array(self.years)
        parts = np.zeros((len(values), 3 + self.times), np.int64)
        for row, value in enumerate(values):
            if value is not None:
                date = read_date(value, self.format)
                year = int(np.argmin(np.abs(known - min(max(date.year, low), high))))
                parts[row] = [year, date.month - 1, date.day - 1, date.hour, date.minute, date.second][: 3 + self.times]
        return with_zero(parts, gone, self.first)

    def decode(self, codes: np.ndarray, rng: np.random.Generator) -> list[str | None]:
        return [None if date is None else date.strftime(self.format) for date in self.dates(codes)]

    def dates(self, codes: np.ndarray) -> list[datetime | None]:
        """Return the dates of codes (n, parts)."""
        found: list[datetime | None] = []
        for row in (codes - self.first).tolist():
            if row[0] < 0:
                found.append(None)
                continue
            year, month = self.years[row[0]], row[1] + 1
            day = min(row[2] + 1, calendar.monthrange(year, month)[1])
            found.append(datetime(year, month, day, *row[3:]))
        return found

    def allowed(self, condition: str) -> list[np.ndarray]:
        if condition == "" and self.missing:
            return [np.arange(size) == 0 for size in self.sizes]
        ends = bounds(condition) or (condition, condition)
        try:
            low, high = (read_date(end, self.format).year if end else None for end in ends)
        except DataError:
            raise ConfigError(
                f"'{condition}' is no date and no range of dates", f"write dates as {self.format}"
            ) from None
        years = np.array(self.years)
        found = (years >= (low or years[0])) & (years <= (high or years[-1]))
        if not found.any():
            raise self.none_left(condition, [str(year) for year in self.years])
        parts = [np.ones(size, bool) for size in self.sizes]
        for part in parts:
            part[: self.first] = False
        parts[0][self.first :] = found
        if ends[0] == ends[1]:
            exact = self.encode([condition])[0]
            parts = [np.arange(size) == code for size, code in zip(self.sizes, exact, strict=True)]
        return parts


def read_date(value: str, form: str) -> datetime:
    """Return a date. Raises DataError for a text of another form."""
    try:
        return datetime.strptime(value, form)
    except ValueError:
        raise DataError(
            f"'{value}' is no date of the form {form}", "name the column's `format`, or list it in `missing`"
        ) from None


def seconds_of(date: datetime) -> float:
    """Return the seconds from 1970 to a date. Dates of a table have no time zone, so no hour is left out or twice."""
    return (date - datetime(1970, 1, 1)).total_seconds()


def format_of(values: Sequence[str]) -> str | None:
    """Return the first of FORMATS that all values have; None where none fits."""
    for form in FORMATS:
        try:
            for value in values:
                if len(value) > 25:
                    return None
                datetime.strptime(value, form)
        except ValueError:
            continue
        return form
    return None


def fit_dates(values: Sequence[str | None], form: str, rare: int) -> Dates:
    """Return the codec of dates. Years beyond the `rare` earliest and latest dates are not kept. Raises DataError for
    a value of another form, and for too few dates."""
    dates = sorted(read_date(value, form) for value in values if value is not None)
    if len(dates) < 2 * rare:
        raise DataError(
            f"{len(dates):,} dates are too few to keep what stands in {rare:,} rows",
            "a smaller `rare` in the schema keeps rarer values, which may name persons",
        )
    kept = dates[rare - 1 : len(dates) - rare + 1]
    years = tuple(sorted({date.year for date in kept}))
    return Dates(format=form, years=years, missing=1 - len(dates) / max(1, len(values)))
