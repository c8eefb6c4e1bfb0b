"""sample_table: rows from a trained run, into memory, a file, or shards made by several processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lilliput.base.console import print_line
from lilliput.base.errors import ConfigError, DataError, LilliputError
from lilliput.base.files import write_json
from lilliput.base.seeds import generator
from lilliput.data.columns.reading import Columns
from lilliput.data.columns.relations import divided
from lilliput.generation.loading import load
from lilliput.model.transformer import Model
from lilliput.runs.finding import inside
from lilliput.worlds.tables.entity_sampling import EntitySampler
from lilliput.worlds.tables.sampling import TableSampler
from lilliput.worlds.tables.training import FITTED, Fitted, load_fitted
from lilliput.worlds.tables.writing import SUFFIXES, check_new, check_suffix, write_columns, write_rows

SHARD = 100_000
"""Rows of a shard, or entities."""
ASKED = "sampling.json"
"""What the shards of a folder hold."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """What is asked for: `count` rows, or entities of a table of entities; and how many of them a shard has."""

    run: str
    count: int
    seed: int = 0
    temperature: float = 1.0
    conditions: Mapping[str, str] = field(default_factory=dict)
    shard: int = SHARD


def sampler_of(run: str | Path, conditions: Mapping[str, str], temperature: float) -> tuple[TableSampler, Fitted]:
    """Return the sampler of a run's model. Raises LilliputError for a run that is no table's."""
    fitted = load_fitted(fitted_folder(run))
    return sampler_for(load(run, "cpu", lambda text: None).model, fitted, conditions, temperature), fitted


def sampler_for(model: Model, fitted: Fitted, conditions: Mapping[str, str], temperature: float) -> TableSampler:
    """Return the sampler of a model of a fitted table. Raises LilliputError for conditions that it cannot keep."""
    kind = EntitySampler if fitted.layout.sequences else TableSampler
    return kind(model, fitted.layout, conditions, temperature)


def fitted_folder(run: str | Path) -> Path:
    """Return the folder of the fitted table of a run. Raises ConfigError for another run."""
    if found := inside(run, FITTED):
        return found
    raise ConfigError(f"{run} was not trained on a table", "train on one: lilliput tables train FILE")


def sample_table(
    run: str | Path,
    count: int = 1000,
    *,
    conditions: Mapping[str, str] | None = None,
    seed: int = 0,
    temperature: float = 1.0,
) -> Columns:
    """Return rows of a table's model, the values by column: `count` rows, or the rows of `count` entities where the
    table has entities. A condition is a value, values between bars, or a range such as "18..30". Raises LilliputError.
    """
    sampler, _ = sampler_of(run, conditions or {}, temperature)
    return sampler.sample(count, seed)


def write_sample(sampling: Sampling, out: Path) -> int:
    """Write a sample into a file, and return its number of rows. Raises LilliputError."""
    check_suffix(out)
    check_new(out)
    sampler, fitted = sampler_of(sampling.run, sampling.conditions, sampling.temperature)
    columns = sampler.sample(sampling.count, sampling.seed)
    write_rows(out, fitted.codec, columns)
    return len(next(iter(columns.values())))


def write_tables(sampling: Sampling, out: Path) -> dict[str, int]:
    """Write a sample of a parent and a child table as two CSV files of a folder. Returns their rows by file. Raises
    LilliputError."""
    sampler, fitted = sampler_of(sampling.run, sampling.conditions, sampling.temperature)
    files = [out / f"{name}.csv" for name in names_of(fitted)]
    for file in files:
        check_new(file)
    tables = related(sampler, fitted, sampling.count, sampling.seed)
    for file, columns in zip(files, tables, strict=True):
        write_columns(file, columns)
    return {str(file): len(next(iter(columns.values()))) for file, columns in zip(files, tables, strict=True)}


def names_of(fitted: Fitted) -> list[str]:
    """Return the names of the files of a sample: those of the parent and the child table."""
    parent = fitted.codec.table.parent
    return ["rows"] if parent is None else [parent.name, parent.child]


def tables_of(sampler: TableSampler, fitted: Fitted, count: int, seed: int) -> dict[str, Columns]:
    """Return the tables of a sample by name (names_of): `count` rows, or the rows of `count` entities or parents."""
    two = fitted.codec.table.parent is not None
    found = related(sampler, fitted, count, seed) if two else (sampler.sample(count, seed),)
    return dict(zip(names_of(fitted), found, strict=True))


def related(sampler: TableSampler, fitted: Fitted, count: int, seed: int, before: int = 0) -> tuple[Columns, Columns]:
    """Return `count` parents and the rows of their children. Parents are numbered from `before` + 1."""
    assert isinstance(sampler, EntitySampler)
    table = fitted.codec.table
    rows, childless = sampler.families(count, seed)
    for columns in (rows, childless):
        columns[str(table.entity)] = [str(before + int(value or 0)) for value in columns[str(table.entity)]]
    return divided(table, rows, childless)


def write_shards(
    sampling: Sampling, out: Path, *, workers: int = 1, notify: Callable[[str], None] = print_line
) -> list[Path]:
    """Write a sample into Parquet files of a folder, by several processes. A shard's rows depend on the sampling and
    its number alone. Shards that are there already are kept, so that the same call goes on after an interruption.
    Returns the files. Raises LilliputError, and ConfigError for a folder of another sampling."""
    # A wrong condition is reported here.
    _, fitted = sampler_of(sampling.run, sampling.conditions, sampling.temperature)
    asked = asdict(sampling)
    out.mkdir(parents=True, exist_ok=True)
    if (out / ASKED).is_file():
        if json.loads((out / ASKED).read_text(encoding="utf-8")) != asked:
            raise ConfigError(f"{out} holds shards of another sampling", "give another folder, or delete it")
    elif any(out.iterdir()):
        raise ConfigError(f"{out} is not empty, and holds no shards", "give another folder")
    write_json(out / ASKED, asked)
    shards = range(-(-sampling.count // sampling.shard))
    files = [_shard(out, name, number) for number in shards for name in names_of(fitted)]
    left = [number for number in shards if not all(_shard(out, name, number).is_file() for name in names_of(fitted))]
    if len(left) < len(shards):
        notify(f"{len(shards) - len(left):,} of {len(shards):,} shards are there already")
    running = [_worker(out, left[place::workers]) for place in range(min(workers, len(left)))]
    failed = [process for process in running if process.wait() != 0]
    if failed or not all(file.is_file() for file in files):
        raise DataError(
            "a process that made shards failed", "what is made is kept: type the same command again to go on"
        )
    return files


def _shard(out: Path, name: str, number: int) -> Path:
    return out / f"{name}-{number:06d}.parquet"


def _worker(out: Path, numbers: Sequence[int]) -> subprocess.Popen[bytes]:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    words = [sys.executable, "-m", __name__, str(out), ",".join(map(str, numbers))]
    return subprocess.Popen(words, env=environment)


def make_shards(out: Path, numbers: Sequence[int]) -> None:
    """Make shards of a folder in this process."""
    given: dict[str, Any] = json.loads((out / ASKED).read_text(encoding="utf-8"))
    sampling = Sampling(**given)
    sampler, fitted = sampler_of(sampling.run, sampling.conditions, sampling.temperature)
    size = sampling.shard
    for number in numbers:
        count = min(size, sampling.count - number * size)
        seed = int(generator(sampling.seed, "shard", number).integers(2**31))
        if (parent := fitted.codec.table.parent) is not None:
            both = related(sampler, fitted, count, seed, before=number * size)
            own = {source: joint for joint, source in parent.columns.items()}
            for name, columns, names in zip(names_of(fitted), both, (own, None), strict=True):
                if not _shard(out, name, number).is_file():
                    write_rows(_shard(out, name, number), fitted.codec, columns, names)
            continue
        columns = sampler.sample(count, seed)
        if (entity := fitted.codec.table.entity) is not None:
            columns[entity] = [str(number * size + int(value or 0)) for value in columns[entity]]
        write_rows(_shard(out, "rows", number), fitted.codec, columns)


def is_folder(out: Path) -> bool:
    """Whether a path is meant as a folder of shards."""
    return out.suffix not in SUFFIXES


if __name__ == "__main__":
    import torch

    torch.set_num_threads(1)
    try:
        make_shards(Path(sys.argv[1]), [int(number) for number in sys.argv[2].split(",")])
    except LilliputError as error:
        sys.exit(f"error: {error}")
