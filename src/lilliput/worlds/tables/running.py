"""train_table and evaluate_table: a table's run from its files, and the report of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lilliput.assembly.recipe import load
from lilliput.assembly.training import train
from lilliput.base.config import validate
from lilliput.base.console import print_line
from lilliput.base.errors import ConfigError
from lilliput.data.columns.inferring import infer_schema
from lilliput.data.columns.relations import children, infer_related
from lilliput.data.columns.schema import TableSchema, read_schema
from lilliput.data.columns.table import FILE
from lilliput.data.table_rows import TableRows
from lilliput.generation.run import Run
from lilliput.runs.finding import RUNS, find
from lilliput.runs.names import PRIVACY, RECIPE
from lilliput.training.config import PrivacyConfig
from lilliput.worlds.tables.canaries import exposure, plant, read_canaries, write_canaries
from lilliput.worlds.tables.entity_sampling import EntitySampler
from lilliput.worlds.tables.evaluating import (
    MOST,
    children_per_parent,
    compare_tables,
    drawn,
    known_columns,
    read_both,
    read_table,
    write_report,
)
from lilliput.worlds.tables.generating import fitted_folder, sampler_of
from lilliput.worlds.tables.leakage import QUERIES, Anonymity, anonymity, area
from lilliput.worlds.tables.likelihood import nats_of
from lilliput.worlds.tables.page import spent_text
from lilliput.worlds.tables.training import FITTED, check_units, fit_table, load_fitted, overrides_of
from lilliput.worlds.tables.writing import check_new, write_columns

SAMPLED = 20_000
"""Most synthetic rows that a report generates."""


def train_table(
    paths: Sequence[str],
    overrides: Sequence[str] = (),
    *,
    schema: str | Path | TableSchema | None = None,
    entity: str | None = None,
    time: str | None = None,
    name: str | None = None,
    known: Sequence[str] = (),
    parents: Sequence[str] = (),
    key: str | None = None,
    epsilon: float | None = None,
    delta: float | None = None,
    runs: str | Path | None = None,
    notify: Callable[[str], None] = print_line,
    live: bool = True,
) -> tuple[Run, dict[str, Any] | None]:
    """Train a model of a table into runs/<name>, by the recipe `table` and overrides. The same call again resumes a run
    that was interrupted.

    `schema` is a schema or its file; without one it is inferred, with `entity` and `time` (see infer_schema). `known`
    are the columns that someone could know of a person. With `parents`, the files of a parent table, each row of the
    table belongs to the parent that its column `key` names (see infer_related). With `epsilon` it trains by DP-SGD,
    which spends so much at `delta`, by default 1e-5, for each row, or for all rows of an entity (see training.privacy).
    Returns the run and the k-anonymity of the table by `known`, which is printed before training. Raises
    LilliputError."""
    if not paths:
        raise ConfigError("no table is named", "give a CSV or Parquet file: lilliput tables train FILE")
    if schema is not None and (entity or time or key):
        raise ConfigError("entity, time and key stand in the schema", "edit the schema, or leave --schema out")
    privacy = privacy_of(epsilon, delta)
    given = read_schema(schema) if isinstance(schema, str | Path) else schema
    found = given or schema_of(paths, entity, time, parents, key)
    if parents and found.parent is None:
        raise ConfigError("the schema has no parent table", "make one: lilliput tables schema FILE --parent FILE --key")
    name = name or Path(paths[0]).name.split(".")[0]
    folder = Path(runs or RUNS) / name
    said = say_anonymity(found, paths, known, notify, parents)
    kept = (folder / FITTED / FILE).is_file()  # written last, so that an interrupted fit is done again
    if not kept and (folder / RECIPE).is_file():
        raise ConfigError(f"{folder} is a run of something else", "give another --name")
    fitted = load_fitted(folder) if kept else fit_table(paths, found, folder / FITTED, parents)
    if fitted.codec.table != found:
        raise ConfigError(f"{folder} is of another schema", "give another --name, or delete the folder")
    if privacy is not None:
        check_units(fitted)
    recipe = load("table", [*overrides_of(fitted, paths, privacy, parents), f"name={name}", *overrides])
    run = train(recipe, runs=runs or RUNS, notify=notify, live=live)
    if spent := run.summary.get(PRIVACY):
        notify(spent_text(spent, "entity" if fitted.layout.sequences else "row"))
    return run, said


def privacy_of(epsilon: float | None, delta: float | None) -> PrivacyConfig | None:
    """Return the section train.privacy of a run; None without an epsilon. Raises ConfigError."""
    if epsilon is None:
        if delta is not None:
            raise ConfigError("a delta is given without an epsilon", "give both: --epsilon 8 --delta 1e-6")
        return None
    return validate(PrivacyConfig, {"epsilon": epsilon, **({} if delta is None else {"delta": delta})}, "privacy")


def schema_of(
    paths: Sequence[str],
    entity: str | None = None,
    time: str | None = None,
    parents: Sequence[str] = (),
    key: str | None = None,
) -> TableSchema:
    """Return the inferred schema of a table, with its parent table where one is given. Raises LilliputError."""
    if not parents and key is None:
        return infer_schema(paths, entity, time)
    if not parents or key is None:
        raise ConfigError("a parent table and its key go together", "give both: --parent FILE --key COLUMN")
    if entity is not None:
        raise ConfigError("the key names the rows that belong together", "leave --entity out")
    return infer_related(paths, parents, key, time)


def say_anonymity(
    schema: TableSchema,
    paths: Sequence[str],
    known: Sequence[str],
    notify: Callable[[str], None],
    parents: Sequence[str] = (),
) -> dict[str, Any] | None:
    """Print how many rows of a table stand alone by what others could know. Returns the figures; None for a table
    without such columns."""
    names = known_columns(schema, known)
    if not names:
        return None
    found: Anonymity = anonymity(read_both(paths, schema, parents)[0], names)
    notify(
        f"{found.alone:.1%} of {found.rows:,} rows share their values of {', '.join(names)} with no other row "
        f"(k-anonymity: k = {found.k})"
    )
    return asdict(found)


def evaluate_table(
    run: str | Path,
    test: Sequence[str],
    *,
    parents: Sequence[str] = (),
    synthetic: Sequence[str] = (),
    target: str | None = None,
    known: Sequence[str] = (),
    seed: int = 0,
    canaries: str | Path | None = None,
    out: str | Path | None = None,
    notify: Callable[[str], None] = print_line,
) -> tuple[dict[str, Any], Path]:
    """Compare synthetic rows, those of files or newly generated ones, with the rows of the run's table and with the
    held-out rows of `test`. Of two tables the joined rows are compared, the child's with their parent's columns:
    `parents` are the held-out files of the parent table, else those of training. `canaries` is the file of the rows
    that were planted before training (plant_canaries). Writes tables.json and tables.html into `out`, else into the
    run's folder. Returns the figures and the page. Raises LilliputError."""
    planted = None if canaries is None else read_canaries(Path(canaries))
    fitted = load_fitted(fitted_folder(run))
    schema = fitted.codec.table
    source = _source(find(run))
    train_rows, childless = read_both(source.paths, schema, source.parents)
    test_rows, test_childless = read_both(test, schema, parents or source.parents)
    sampler, _ = sampler_of(run, {}, 1.0)
    counted: dict[str, list[int]] = {}
    if isinstance(sampler, EntitySampler) and schema.parent is not None:
        if synthetic:
            raise ConfigError("of two tables, newly generated rows are judged", "leave --synthetic out")
        notify(f"generating {fitted.codec.entities:,} parents with their rows")
        made, without = sampler.families(min(SAMPLED, fitted.codec.entities), seed)
        sides = {"train": (train_rows, childless), "synthetic": (made, without)}
        if parents:
            sides["held out"] = test_rows, test_childless
        counted = {name: children(schema, *side) for name, side in sides.items()}
    elif synthetic:
        made = read_table(synthetic, schema)
    else:
        per_entity = max(1.0, fitted.codec.rows / max(1, len(set(train_rows.get(str(schema.entity), [])))))
        rows = max(QUERIES, min(SAMPLED, fitted.codec.rows))
        notify(f"generating about {rows:,} rows")
        made = sampler.sample(round(rows / per_entity) if fitted.layout.sequences else rows, seed)
    found = compare_tables(schema, train_rows, test_rows, made, target=target, known=known, seed=seed)
    if counted:
        found["children"] = children_per_parent(counted)
    if not fitted.layout.sequences:
        both = (nats_of(sampler.model, fitted.layout, drawn(side, MOST, seed)) for side in (train_rows, test_rows))
        members, others = (-nats for nats in both)
        found["leakage"]["membership_auc_by_likelihood"] = asdict(area(members, others))
    if planted is not None:
        found["canaries"] = exposure(sampler.model, fitted.layout, train_rows, planted, made, seed)
    if spent := Run(find(run)).summary.get(PRIVACY):
        found["privacy"] = spent
    return found, write_report(found, Path(out) if out else find(run))


def plant_canaries(
    paths: Sequence[str],
    out: str | Path,
    *,
    schema: str | Path | TableSchema | None = None,
    count: int = 20,
    repeats: Sequence[int] = (1, 4, 16),
    seed: int = 0,
) -> tuple[Path, Path]:
    """Write the rows of a table with canaries among them, and the canaries beside it as JSON. Returns both files. Train
    on the first one, then evaluate with the second. Raises LilliputError."""
    given = read_schema(schema) if isinstance(schema, str | Path) else schema
    found = given or infer_schema(paths)
    file = Path(out)
    check_new(file)
    planted, made = plant(found, read_table(paths, found), count, repeats, seed)
    secrets = file.with_suffix(".canaries.json")
    write_columns(file, planted)
    write_canaries(secrets, made)
    return file, secrets


def _source(folder: Path) -> TableRows:
    """Return the table that a run was trained on. Raises ConfigError where its recipe names none."""
    for each in (folder, *folder.absolute().parents[:3]):
        if (each / RECIPE).is_file():
            source = load(each / RECIPE).data.sources[0]
            if isinstance(source, TableRows):
                return source
    raise ConfigError(f"{folder} does not name the table it was trained on", "name a run of lilliput tables train")
