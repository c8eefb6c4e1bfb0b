"""TableCodec: a fitted table, which turns rows into token ids and back. It holds no row."""

from __future__ import annotations

import calendar
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from lilliput.base.config import Config, validate
from lilliput.base.errors import ConfigError, DataError
from lilliput.base.files import write_json
from lilliput.base.reading import read_object
from lilliput.data.columns.categories import Categories
from lilliput.data.columns.codec import Codec
from lilliput.data.columns.dates import Dates
from lilliput.data.columns.numbers import Digits, Quantiles, Values
from lilliput.data.columns.schema import TableSchema
from lilliput.data.columns.texts import Texts
from lilliput.data.tokenizer import Tokenizer

FILE = "table.json"
"""A fitted table in a run's folder."""
ROW, CONTINUES, TEXT_ENDS = "<|=row|>", "<|=continues|>", "<|=text ends|>"
"""A row of an entity begins; the rows are a later part of an entity's; a text ends."""
WEEKDAYS = tuple(calendar.day_name)
LONGEST_LABEL = 200

AnyCodec = Annotated[Categories | Values | Quantiles | Digits | Dates | Texts, Field(discriminator="kind")]
AnyNumbers = Annotated[Values | Quantiles | Digits, Field(discriminator="kind")]


@dataclass(frozen=True, slots=True)
class Group:
    """The tokens of one column in a row: its marker, then one of the tokens of each part.

    A part is the id of its first code and its number of codes. `known` are parts that follow from what came before (the
    day of the week) and are not learned. Where `codec.open`, the parts are none, and a text and its end mark follow.
    """

    name: str
    marker: int
    codec: Codec
    parts: tuple[tuple[int, int], ...]
    known: frozenset[int] = field(default_factory=frozenset)

    def ids(self, codes: np.ndarray) -> np.ndarray:
        """codes (n, parts) -> ids (n, 1 + parts) int64, the marker first."""
        firsts = np.array([first for first, _ in self.parts], np.int64)
        return np.concatenate((np.full((len(codes), 1), self.marker), codes + firsts), 1)


class TableCodec(Config):
    """What a generator of a table needs beside its model: the schema, and the codec of each column."""

    table: TableSchema = Field(description="the schema")
    codecs: dict[str, AnyCodec] = Field(description="the codec of each kept column, by name")
    gaps: AnyNumbers | None = Field(default=None, description="the codec of the days between two rows of an entity")
    rows: int = Field(default=0, ge=0, description="rows that it was fitted to")
    entities: int = Field(default=0, ge=0, description="entities that it was fitted to")
    most_rows: int = Field(default=0, ge=0, description="the most rows of an entity")
    rows_per_entity: tuple[int, ...] = Field(default=(), description="deciles of the number of rows of an entity")

    def save(self, folder: str | Path) -> None:
        """Write the file of a fitted table."""
        write_json(Path(folder) / FILE, self.model_dump(mode="json"))

    @classmethod
    def load(cls, folder: str | Path) -> TableCodec:
        """Read the file of a fitted table, or the one in a folder. Raises LilliputError."""
        path = Path(folder)
        path = path / FILE if path.is_dir() else path
        if not path.is_file():
            raise ConfigError(f"there is no fitted table {path}", "train one: lilliput tables train FILE")
        return validate(TableCodec, read_object(path), str(path))

    @property
    def time(self) -> Dates | None:
        """The codec of the column that orders the rows of an entity."""
        return None if self.table.time is None else self._dates(self.table.time)

    def _dates(self, name: str) -> Dates:
        codec = self.codecs[name]
        assert isinstance(codec, Dates)
        return codec

    # ---------------------------------------------------------------------------- tokens

    @property
    def tokens(self) -> list[str]:
        """The special tokens of the table, in the order of their ids."""
        found = [ROW, CONTINUES, TEXT_ENDS]
        for name, codec in self.codecs.items():
            found += _tokens(_mark(name), codec.labels)
        if self.gaps is not None and self.time is not None:
            after = _after(str(self.table.time))
            found += _tokens(after, self.gaps.labels)
            found += [f"<|{after}~{day}|>" for day in WEEKDAYS]
            for place, part in enumerate(self.time.labels[3:], start=2):
                found += [f"<|{after}={_label(place, label)}|>" for label in part]
        return _distinct(found)

    def tokenizer(self, texts: Sequence[str], vocab_size: int) -> Tokenizer:
        """Return the table's tokenizer: bytes and merges learned from `texts`, and the table's own tokens."""
        from lilliput.data.config import TokenizerConfig
        from lilliput.data.tokenizer_training import BYTES, SPECIALS, with_tokens

        least = BYTES + len(SPECIALS)
        given = TokenizerConfig(vocab_size=max(least, vocab_size) if texts else least)
        return Tokenizer(with_tokens(Tokenizer.train(texts or ["a"], given).content, self.tokens))

    def layout(self, tokenizer: Tokenizer) -> Layout:
        """Return where the table's tokens are in a tokenizer. Raises ConfigError for another table's tokenizer."""
        first = tokenizer.special_id(ROW)
        tokens = self.tokens
        last = None if first is None else first + len(tokens) - 1
        if first is None or last is None or last >= tokenizer.vocab_size or tokenizer.token(last) != tokens[-1]:
            raise ConfigError("the tokenizer is not that of this table", "give the folder that lilliput tables made")
        return Layout(self, tokenizer, first)


def _mark(name: str) -> str:
    return name.replace("=", "-").replace("~", "-").replace("|", "/")[:LONGEST_LABEL] or "-"


def _after(time: str) -> str:
    return f"{_mark(time)} after"


def _label(part: int, label: str) -> str:
    return f"{label[:LONGEST_LABEL]}" if part == 0 else f"{part + 1}: {label[:LONGEST_LABEL]}"


def _tokens(name: str, labels: list[list[str]]) -> list[str]:
    values = [f"<|{name}={_label(part, label)}|>" for part, names in enumerate(labels) for label in names]
    return [f"<|{name}|>", *values]


def _distinct(tokens: list[str]) -> list[str]:
    """Return the tokens, with a number in each one that was there before."""
    seen: dict[str, int] = {}
    found = []
    for token in tokens:
        count = seen[token] = seen.get(token, 0) + 1
        found.append(token if count == 1 else f"{token[:-2]} #{count}|>")
    return found


class Layout:
    """The ids of a table's tokens in its tokenizer.

    head  the groups that come once before the rows of an entity
    body  the groups of each row
    """

    def __init__(self, codec: TableCodec, tokenizer: Tokenizer, first: int):
        self.codec, self.tokenizer = codec, tokenizer
        self.row, self.continues, self.text_ends = first, first + 1, first + 2
        self.size = tokenizer.vocab_size
        table, at, groups = codec.table, first + 3, dict[str, Group]()
        for name, each in codec.codecs.items():
            groups[name], at = _group(name, each, at)
        self.groups = groups
        self.gap: Group | None = None
        if codec.gaps is not None and codec.time is not None:
            gap, at = _group(str(table.time), codec.gaps, at)
            parts = [*gap.parts, (at, len(WEEKDAYS))]
            at += len(WEEKDAYS)
            for names in codec.time.labels[3:]:
                parts.append((at, len(names)))
                at += len(names)
            self.gap = Group(str(table.time), gap.marker, codec.gaps, tuple(parts), frozenset([len(gap.parts)]))
        timed = self.gap is not None
        self.head = [groups[name] for name in (*table.profile, *table.openings)] + (
            [groups[str(table.time)]] if timed else []
        )
        self.body = [self.gap if timed and name == table.time and self.gap else groups[name] for name in table.of_rows]

    @cached_property
    def sequences(self) -> bool:
        """Whether a document is all rows of an entity, and not one row."""
        return self.codec.table.entity is not None

    @property
    def row_tokens(self) -> int:
        """Most tokens of one row, its mark included."""
        return 1 + sum(map(self.tokens_of, self.body))

    @property
    def head_tokens(self) -> int:
        """Most tokens before the rows of an entity, the mark of a later part included."""
        return 1 + sum(map(self.tokens_of, self.head))

    def tokens_of(self, group: Group) -> int:
        """Most tokens of a group, its marker included."""
        return 2 + group.codec.longest if isinstance(group.codec, Texts) else 1 + len(group.parts)

    # ---------------------------------------------------------------------------- rows to ids

    def ids_of(self, group: Group, values: Sequence[str | None]) -> list[np.ndarray] | np.ndarray:
        """Return the ids of a column's values: (n, 1 + parts), or an array for each value of a text."""
        if not isinstance(group.codec, Texts):
            try:
                return group.ids(group.codec.encode(values))
            except DataError as error:
                raise DataError(f"the column '{group.name}': {error.message}", error.hint) from None
        longest, marker, end = group.codec.longest, np.array([group.marker]), np.array([self.text_ends])
        texts = self.tokenizer.encode_arrays([value or "" for value in values])
        return [np.concatenate((marker, ids[:longest].astype(np.int64), end)) for ids in texts]

    def rows_of(
        self, groups: Sequence[Group], columns: dict[str, list[str | None]], count: int
    ) -> Iterator[np.ndarray]:
        """Yield the ids of each row, without the marks around it."""
        made = [self.ids_of(group, columns[group.name]) for group in groups]
        if not made:
            yield from (np.zeros(0, np.int64) for _ in range(count))
        elif all(isinstance(part, np.ndarray) for part in made):
            yield from np.concatenate(made, 1)
        else:
            yield from (np.concatenate([part[row] for part in made]) for row in range(count))


def _group(name: str, codec: Codec, at: int) -> tuple[Group, int]:
    """Return the group whose marker is the id `at`, and the next free id."""
    marker, at, parts = at, at + 1, []
    for size in codec.sizes:
        parts.append((at, size))
        at += size
    return Group(name, marker, codec, tuple(parts)), at
