"""train_table: a model of the rows of a file, from its schema to a run."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles

from lilliput.base.errors import DataError
from lilliput.data.columns.dates import Dates
from lilliput.data.columns.fitting import fit_codecs, fit_gaps
from lilliput.data.columns.reading import Columns, joined, read_batches
from lilliput.data.columns.schema import TableSchema
from lilliput.data.columns.sequences import with_openings
from lilliput.data.columns.table import Layout, TableCodec
from lilliput.data.tokenizer import Tokenizer

FITTED = "table"
"""The folder, in a run's folder, of the fitted table and its tokenizer."""
LONGEST = 1024
"""Most tokens of the rows in a document of an entity, but for two long rows."""
TEXT_VOCABULARY = 2048


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
        most = max(1, (self.codec.rows_per_entity or (1,))[-1])
        # Room for two rows at least: one that was read again, and one that is generated.
        rows = max(2 * self.layout.row_tokens, min(most * self.layout.row_tokens, LONGEST))
        return 2 + self.layout.head_tokens + rows


def load_fitted(folder: str | Path) -> Fitted:
    """Return the fitted table of a run's folder, or of the folder of a fitted table itself. Raises LilliputError."""
    folder = Path(folder)
    folder = folder / FITTED if (folder / FITTED).is_dir() else folder
    codec = TableCodec.load(folder)
    return Fitted(folder, codec, codec.layout(Tokenizer.load(folder)))


def fit_table(paths: Sequence[str], schema: TableSchema, folder: Path) -> Fitted:
    """Fit codecs and a tokenizer to a table, and write them into a folder. Raises DataError."""
    columns = joined(read_batches(paths, {name: schema.columns[name].missing for name in schema.read}))
    if not columns:
        raise DataError("the table has no rows")
    columns = with_openings(schema, columns)
    codecs = fit_codecs(schema, columns)
    time = codecs[schema.time] if schema.time else None
    codec = TableCodec.model_validate(
        {
            "table": schema,
            "codecs": codecs,
            "gaps": fit_gaps(schema, columns, time.format) if isinstance(time, Dates) else None,
            "rows": len(columns[schema.read[0]]),
            "rows_per_entity": _deciles(columns, schema.entity),
        }
    )
    texts = [value for name, each in codecs.items() if each.open for value in columns[name] if value is not None]
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = codec.tokenizer(texts, TEXT_VOCABULARY)
    tokenizer.save(folder)
    codec.save(folder)
    return Fitted(folder, codec, codec.layout(Tokenizer.load(folder)))


def _deciles(columns: Columns, entity: str | None) -> tuple[int, ...]:
    if entity is None:
        return ()
    counts = sorted(Counter(columns[entity]).values())
    if len(counts) < 2:
        return tuple(counts)
    return *(round(each) for each in quantiles(counts, n=10)), counts[int(0.98 * (len(counts) - 1))]


def overrides_of(fitted: Fitted, paths: Sequence[str]) -> list[str]:
    """Return the overrides that make the recipe `table` that of a table."""
    source = {
        "kind": "table",
        "paths": [str(path) for path in paths],
        "codec": str(fitted.folder),
        "tokenizer": str(fitted.folder),
        "most_tokens": fitted.context_length,
    }
    return [
        f"data.sources={json.dumps([source])}",
        f"tokenizer.path={json.dumps(str(fitted.folder))}",
        f"model.context_length={rounded(fitted)}",
    ]


def rounded(fitted: Fitted) -> int:
    """Return the context: several rows side by side where a row is short, so that little of it is padding."""
    return max(256, fitted.context_length)
