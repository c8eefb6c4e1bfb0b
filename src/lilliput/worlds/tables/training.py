"""train_table: a model of the rows of a file, from its schema to a run."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from typing import Any

from lilliput.base.errors import ConfigError, DataError
from lilliput.data.columns.dates import Dates
from lilliput.data.columns.fitting import fit_codecs, fit_gaps
from lilliput.data.columns.reading import Columns, joined, read_batches
from lilliput.data.columns.relations import read_related
from lilliput.data.columns.schema import TableSchema
from lilliput.data.columns.sequences import rows_per_document, with_openings
from lilliput.data.columns.table import Layout, TableCodec
from lilliput.data.tokenizer import Tokenizer
from lilliput.training.config import PrivacyConfig

FITTED = "table"
"""The folder, in a run's folder, of the fitted table and its tokenizer."""
LONGEST, LONGEST_WHOLE = 1024, 1900
"""Most tokens of the rows in a document of an entity, but for two long rows; and where all of its rows have to be in
one document."""
TEXT_VOCABULARY = 2048
PRIVATE_EXAMPLES, PRIVATE_STEPS = 512, 12
"""Examples of a step with privacy, and the least number of steps in which a table is read once."""
PRIVATE = (
    "train.epochs=8",
    "train.optimizer.kind=adamw",
    "train.optimizer.learning_rate=0.01",
    "train.optimizer.embedding_learning_rate=null",
    "train.optimizer.weight_decay=0",
    "train.schedule.warmup_steps=10",
)
"""Values of the recipe under noise: docs/tables.md has the measurements."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """A fitted table in `folder`, its tokenizer, and where the table's tokens are in it."""

    folder: Path
    codec: TableCodec
    layout: Layout

    @property
    def context_length(self) -> int:
        """Tokens of the longest document, and its marks."""
        if not self.layout.sequences:
            return 2 + self.layout.row_tokens
        return self._room((self.codec.rows_per_entity or (1,))[-1], LONGEST)

    @property
    def whole_context(self) -> int:
        """Tokens of a document that holds all rows of any entity, where they fit into LONGEST_WHOLE."""
        return self._room(self.codec.most_rows, LONGEST_WHOLE) if self.layout.sequences else self.context_length

    def _room(self, most: int, longest: int) -> int:
        # Room for two rows at least: one that was read again, and one that is generated.
        rows = max(2 * self.layout.row_tokens, min(most * self.layout.row_tokens, longest))
        return 2 + self.layout.head_tokens + rows


def load_fitted(folder: str | Path) -> Fitted:
    """Return the fitted table of a run's folder, or of the folder of a fitted table itself. Raises LilliputError."""
    folder = Path(folder)
    folder = folder / FITTED if (folder / FITTED).is_dir() else folder
    codec = TableCodec.load(folder)
    return Fitted(folder, codec, codec.layout(Tokenizer.load(folder)))


def fit_table(paths: Sequence[str], schema: TableSchema, folder: Path, parents: Sequence[str] = ()) -> Fitted:
    """Fit codecs and a tokenizer to a table, with its parent table where the schema has one, and write them into a
    folder. Raises DataError."""
    childless: Columns = {}
    if schema.parent is not None:
        columns, childless = read_related(schema, paths, parents)
    else:
        columns = joined(read_batches(paths, {name: schema.columns[name].missing for name in schema.read}))
    if not columns:
        raise DataError("the table has no rows")
    columns = with_openings(schema, columns)
    codecs = fit_codecs(schema, columns, childless)
    time = codecs[schema.time] if schema.time else None
    codec = TableCodec.model_validate(
        {
            "table": schema,
            "codecs": codecs,
            "gaps": fit_gaps(schema, columns, time.format) if isinstance(time, Dates) else None,
            "rows": len(columns[schema.read[0]]),
            **_entities(columns, schema.entity, len(next(iter(childless.values()), []))),
        }
    )
    texts = [value for name, each in codecs.items() if each.open for value in columns[name] if value is not None]
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = codec.tokenizer(texts, TEXT_VOCABULARY)
    tokenizer.save(folder)
    codec.save(folder)
    return Fitted(folder, codec, codec.layout(Tokenizer.load(folder)))


def _entities(columns: Columns, entity: str | None, childless: int) -> dict[str, Any]:
    """Return the numbers of a fitted table on its entities: how many there are, and how many rows they have."""
    if entity is None:
        return {}
    counts = sorted([*Counter(columns[entity]).values(), *[0] * childless])
    found: dict[str, Any] = {"entities": len(counts), "most_rows": counts[-1]}
    if len(counts) < 2:
        return {**found, "rows_per_entity": tuple(counts)}
    deciles = (round(each) for each in quantiles(counts, n=10))
    return {**found, "rows_per_entity": (*deciles, counts[int(0.98 * (len(counts) - 1))])}


def overrides_of(
    fitted: Fitted, paths: Sequence[str], privacy: PrivacyConfig | None = None, parents: Sequence[str] = ()
) -> list[str]:
    """Return the overrides that make the recipe `table` that of a table. With `privacy` a row of a batch is one
    document, and batch and optimiser are those that noise needs."""
    source = {
        "kind": "table",
        "paths": [str(path) for path in paths],
        **({"parents": [str(path) for path in parents]} if parents else {}),
        "codec": str(fitted.folder),
        "tokenizer": str(fitted.folder),
        "most_tokens": fitted.context_length if privacy is None else fitted.whole_context,
    }
    return [
        f"data.sources={json.dumps([source])}",
        f"tokenizer.path={json.dumps(str(fitted.folder))}",
        *([f"model.context_length={rounded(fitted)}"] if privacy is None else _private(fitted, privacy)),
    ]


def rounded(fitted: Fitted) -> int:
    """Return the context: several rows side by side where a row is short, so that little of it is padding."""
    return max(256, fitted.context_length)


def _private(fitted: Fitted, privacy: PrivacyConfig) -> list[str]:
    table = fitted.codec.table
    units = fitted.codec.rows if table.entity is None else fitted.codec.entities
    examples = max(1, min(PRIVATE_EXAMPLES, units // PRIVATE_STEPS))
    return [
        f"train.privacy={json.dumps(privacy.model_dump(exclude_defaults=True))}",
        f"train.batch_tokens={examples * fitted.whole_context}",
        f"model.context_length={fitted.whole_context}",
        *PRIVATE,
    ]


def check_units(fitted: Fitted) -> None:
    """Raise ConfigError where the rows of an entity fill more than one document: privacy is counted by document."""
    layout, most = fitted.layout, fitted.codec.most_rows
    if layout.sequences and most > (fits := rows_per_document(layout, fitted.whole_context)):
        raise ConfigError(
            f"an entity has {most:,} rows, and one document holds {fits:,}: epsilon would count the entity more than "
            "once",
            f"leave out all but {fits:,} rows of each entity, or leave out --epsilon",
        )
