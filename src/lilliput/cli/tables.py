"""`lilliput tables schema`, `train`, `sample`, `evaluate`: synthetic rows from a table of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lilliput.cli.options import Json, whole

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lilliput.data.columns.schema import TableSchema
    from lilliput.worlds.tables.generating import Sampling
    from lilliput.worlds.tables.training import Fitted

app = typer.Typer(
    no_args_is_help=True, help="Synthetic rows: a model of a table, what it is worth, what it gives away."
)
Files = Annotated[list[str], typer.Argument(help="CSV, TSV or Parquet files of one table.")]
Entity = Annotated[str | None, typer.Option(help="The column that names whose rows belong together, such as user_id.")]
Time = Annotated[str | None, typer.Option(help="The date column that orders the rows of an entity.")]
Parent = Annotated[
    list[str] | None,
    typer.Option(help="A file of the parent table, such as customers.csv, whose rows the rows of FILES name."),
]
Key = Annotated[
    str | None,
    typer.Option(help="The column that names the parent, such as customer_id; CHILD=PARENT where names differ."),
]
Schema = Annotated[Path | None, typer.Option(help="A schema that `lilliput tables schema` wrote, edited or not.")]
SHOWN = 20
"""Rows that are printed."""
Where = Annotated[
    list[str] | None,
    typer.Option(help="A condition: COLUMN=VALUE, COLUMN='A|B' or COLUMN=18..30. Repeatable.", show_default=False),
]


@app.command()
def schema(
    files: Files,
    entity: Entity = None,
    time: Time = None,
    parent: Parent = None,
    key: Key = None,
    out: Annotated[Path | None, typer.Option(help="Write the schema into this YAML file, for editing.")] = None,
    json: Json = False,
) -> None:
    """Infer what the columns of a table are, and print it: kinds, values, and how well rows hide among each other."""
    from lilliput.base import console
    from lilliput.base.errors import ConfigError
    from lilliput.data.columns.inferring import suggestions
    from lilliput.data.columns.schema import write_schema
    from lilliput.worlds.tables.running import schema_of

    console.use_json(json)
    parents = _one_parent(parent)
    found = schema_of(files, entity, time, parents, key)
    if out is not None:
        if out.exists():
            raise ConfigError(f"{out} is there already, and may be edited", "give another --out, or delete it")
        write_schema(found, out)
    if json:
        console.emit({"schema": found.model_dump(mode="json"), "file": out})
        return
    _print_schema(found)
    for hint in suggestions(list(found.columns), found):
        console.print_line(hint)
    words = " ".join(files)
    options = (("entity", entity), ("time", time), ("key", key))
    given = f" --schema {out}" if out else "".join(f" --{name} {value}" for name, value in options if value)
    given += "".join(f" --parent {file}" for file in parents)
    console.print_line(f"train on it: lilliput tables train {words}{given}")


def _print_schema(found: TableSchema) -> None:
    from lilliput.cli.printing import print_table

    rows = []
    for name, column in found.columns.items():
        role = {found.entity: "entity", found.time: "time"}.get(name, "profile" if name in found.profile else "")
        details = [role, column.format or "", f"{column.decimals} decimals" if column.decimals else ""]
        rows.append((name, column.kind, ", ".join(filter(None, details))))
    print_table(("column", "kind", ""), rows)


@app.command()
def train(
    words: Annotated[list[str], typer.Argument(help="Files of one table; key=value such as train.epochs=10.")],
    schema: Schema = None,
    entity: Entity = None,
    time: Time = None,
    parent: Parent = None,
    key: Key = None,
    name: Annotated[str | None, typer.Option(help="The run's name. Left out: the file's.")] = None,
    known: Annotated[list[str] | None, typer.Option(help="A column that someone could know of a person.")] = None,
    epsilon: Annotated[
        float | None,
        typer.Option(help="Train by DP-SGD with noise that spends this epsilon for each row, or each entity."),
    ] = None,
    delta: Annotated[float | None, typer.Option(help="The delta of --epsilon. Left out: 1e-5.")] = None,
    json: Json = False,
) -> None:
    """Train a model of a table's rows into runs/NAME. Nothing leaves the machine. Before training it is printed how
    many rows stand alone by columns that others could know."""
    from lilliput.base import console
    from lilliput.worlds.tables.running import train_table
    from lilliput.worlds.tables.training import load_fitted

    console.use_json(json)
    assignments = [word for word in words if "=" in word and not Path(word).exists()]
    files = [word for word in words if word not in assignments]
    run, found = train_table(
        files,
        assignments,
        schema=schema,
        entity=entity,
        time=time,
        name=name,
        known=known or (),
        parents=_one_parent(parent),
        key=key,
        epsilon=epsilon,
        delta=delta,
        notify=console.print_line,
    )
    if json:
        console.emit({"run": run.path, "anonymity": found, "summary": run.summary})
        return
    what = "--parents 500 --out made" if parent else "--rows 1000 --out rows.csv"
    if not parent and load_fitted(run.path).layout.sequences:
        what = "--entities 100 --out rows.csv"
    console.print_line(f"next: lilliput tables sample {run.path.name} {what}")
    held = " --parent HELD_OUT_PARENTS" if parent else ""
    console.print_line(f"      lilliput tables evaluate {run.path.name} --test HELD_OUT_FILE{held}")


def _one_parent(parent: list[str] | None) -> list[str]:
    """Return the file of the parent table, as a list. Raises ConfigError for several parent tables."""
    from lilliput.base.errors import ConfigError

    if parent and len(parent) > 1:
        raise ConfigError(
            f"{len(parent)} parent tables are named, and a child table has one: {', '.join(parent)}",
            "join the others into it before; files of one table are a pattern in quotes: --parent 'customers-*.csv'",
        )
    return parent or []


@app.command()
def sample(
    run: Annotated[str, typer.Argument(help="A run of `lilliput tables train`.")],
    rows: Annotated[int | None, whole(help="Rows, for a table whose rows stand alone. Left out: 1,000.")] = None,
    entities: Annotated[int | None, whole(help="Entities, each with all of its rows. Left out: 100.")] = None,
    parents: Annotated[int | None, whole(help="Parents with their rows, for two tables. Left out: 100.")] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="A .csv, .tsv or .parquet file, or a folder of Parquet shards. For two tables a folder: two CSV "
            "files, or Parquet shards with --shard."
        ),
    ] = None,
    where: Where = None,
    seed: int = 0,
    temperature: Annotated[float, typer.Option(help="1: as the model has learned; less: only likelier rows.")] = 1.0,
    shard: Annotated[int | None, whole(help="Rows, or entities, of a shard. Left out: 100,000.")] = None,
    workers: Annotated[int, whole(help="Processes that make shards side by side.")] = 1,
    json: Json = False,
) -> None:
    """Generate rows, given values or ranges of any columns. A folder as --out gets Parquet shards; the same command
    goes on where it was interrupted."""
    from lilliput.base import console
    from lilliput.base.errors import ConfigError
    from lilliput.worlds.tables.generating import (
        SHARD,
        Sampling,
        fitted_folder,
        is_folder,
        write_sample,
        write_shards,
        write_tables,
    )
    from lilliput.worlds.tables.training import load_fitted

    console.use_json(json)
    conditions = _conditions(where)
    fitted = load_fitted(fitted_folder(run))
    two = fitted.codec.table.parent is not None
    count = _count(fitted, {"--rows": rows, "--entities": entities, "--parents": parents})
    sampling = Sampling(run, count, seed, temperature, conditions, shard or SHARD)
    if out is None:
        _print_rows(sampling, json)
        return
    if two and not is_folder(out):
        raise ConfigError("a sample of two tables is two files", "name a folder: --out made")
    if two and shard is None and workers == 1:
        _print_files(out, write_tables(sampling, out), json)
        return
    if is_folder(out):
        made = write_shards(sampling, out, workers=workers, notify=console.print_line)
        found: dict[str, Any] = {"folder": out, "shards": len(made)}
    else:
        found = {"file": out, "rows": write_sample(sampling, out)}
    if json:
        console.emit(found)
    else:
        console.print_line(
            f"wrote {found.get('rows', found.get('shards')):,} {'rows' if 'rows' in found else 'shards'}: {out}"
        )


def _print_files(folder: Path, files: Mapping[str, int], json: bool) -> None:
    from lilliput.base import console

    if json:
        console.emit({"folder": folder, "files": dict(files)})
        return
    for file, size in files.items():
        console.print_line(f"wrote {size:,} rows: {file}")


def _count(fitted: Fitted, given: Mapping[str, int | None]) -> int:
    """Return how many rows, entities or parents are asked for. Raises ConfigError for a number of another kind."""
    from lilliput.base.errors import ConfigError

    if fitted.codec.table.parent is not None:
        kind, option, usual = "parents with their rows", "--parents", 100
    elif fitted.layout.sequences:
        kind, option, usual = "entities", "--entities", 100
    else:
        kind, option, usual = "rows that stand alone", "--rows", 1000
    if any(value is not None for name, value in given.items() if name != option):
        raise ConfigError(f"the table has {kind}", f"say how many with {option}")
    return given[option] or usual


def _conditions(where: list[str] | None) -> Mapping[str, str]:
    from lilliput.base.errors import ConfigError

    found = {}
    for text in where or []:
        name, sign, value = text.partition("=")
        if not sign:
            raise ConfigError(f"'{text}' is no condition", "write COLUMN=VALUE, COLUMN='A|B' or COLUMN=18..30")
        found[name.strip()] = value.strip()
    return found


def _print_rows(sampling: Sampling, json: bool) -> None:
    from lilliput.base import console
    from lilliput.cli.printing import print_table
    from lilliput.worlds.tables.generating import sample_table

    columns = sample_table(
        sampling.run,
        sampling.count,
        conditions=sampling.conditions,
        seed=sampling.seed,
        temperature=sampling.temperature,
    )
    rows = list(zip(*columns.values(), strict=True))
    if json:
        console.emit({"rows": [dict(zip(columns, row, strict=True)) for row in rows]})
        return
    print_table(list(columns), [[value or "" for value in row] for row in rows[:SHOWN]])
    if len(rows) > SHOWN:
        console.print_line(f"the first {SHOWN} of {len(rows):,} rows; write all of them: --out rows.csv")


@app.command()
def canaries(
    files: Files,
    out: Annotated[Path, typer.Option(help="The .csv or .tsv file of the rows with canaries among them.")],
    schema: Schema = None,
    count: Annotated[int, whole(help="Canaries for each number of repeats.")] = 20,
    repeats: Annotated[str, typer.Option(help="How often they are planted.")] = "1,4,16",
    seed: int = 0,
    json: Json = False,
) -> None:
    """Plant rows that no one has among the rows of a table, to look for them after training: how well a model
    remembers single rows."""
    from lilliput.base import console
    from lilliput.base.units import whole as number
    from lilliput.worlds.tables.running import plant_canaries

    console.use_json(json)
    times = [number(each, least=1) for each in repeats.split(",")]
    file, secrets = plant_canaries(files, out, schema=schema, count=count, repeats=times, seed=seed)
    if json:
        console.emit({"file": file, "canaries": secrets})
        return
    console.print_line(f"wrote {count * sum(times):,} canaries among the rows of {file}, and their list into {secrets}")
    name = file.name.split(".")[0]
    console.print_line(f"next: lilliput tables train {file} --name {name}")
    console.print_line(f"      lilliput tables evaluate {name} --test HELD_OUT_FILE --canaries {secrets}")


@app.command()
def evaluate(
    run: Annotated[str, typer.Argument(help="A run of `lilliput tables train`.")],
    test: Annotated[list[str], typer.Option(help="Rows that the run was not trained on. Repeatable.")],
    parent: Annotated[
        list[str] | None, typer.Option(help="The parent table of the held-out rows. Left out: that of training.")
    ] = None,
    made: Annotated[
        list[str] | None, typer.Option("--synthetic", help="Synthetic rows to judge. Left out: newly generated ones.")
    ] = None,
    target: Annotated[str | None, typer.Option(help="A column that models of trees are trained to predict.")] = None,
    known: Annotated[list[str] | None, typer.Option(help="A column that someone could know of a person.")] = None,
    canaries: Annotated[Path | None, typer.Option(help="The canaries that were planted before training.")] = None,
    seed: int = 0,
    out: Annotated[Path | None, typer.Option(help="Folder of the report. Left out: the run's.")] = None,
    json: Json = False,
) -> None:
    """Measure synthetic rows beside held-out real ones: distributions, pairs, detection, what a model trained on them
    is worth, and what they give away. Writes tables.html, one offline page."""
    from lilliput.base import console
    from lilliput.worlds.tables.running import evaluate_table

    console.use_json(json)
    found, page = evaluate_table(
        run,
        test,
        parents=_one_parent(parent),
        synthetic=made or (),
        target=target,
        known=known or (),
        seed=seed,
        canaries=canaries,
        out=out,
        notify=console.print_line,
    )
    if json:
        console.emit({**found, "page": page})
        return
    _print_report(found)
    console.print_line(f"look at it: {page}")


def _print_report(found: Mapping[str, Any]) -> None:
    from lilliput.base import console
    from lilliput.cli.printing import print_table
    from lilliput.worlds.tables.page import CANARIES, FIGURES, LEAKAGE, NOTE

    sides = found["quality"].values()
    rows = [(text, *(f"{each[key]:.4f}" for each in sides)) for key, text in FIGURES.items()]
    if "worth" in found:
        worth = found["worth"]
        rows.append(
            (f"predicting {worth['target']}, trained on", f"{worth['synthetic']:.4f}", f"{worth['real']:.4f} (real)")
        )
    print_table(("", *found["quality"]), rows)
    console.print_line("")
    shares = [(text, found["leakage"][key]) for key, text in LEAKAGE.items() if key in found["leakage"]]
    print_table(
        ("", "share", "95% interval"),
        [(text, f"{each['share']:.4f}", f"{each['low']:.4f} to {each['high']:.4f}") for text, each in shares],
    )
    if counted := found.get("children"):
        console.print_line("")
        print_table(
            ("rows of a parent", "mean", "none", "KS"),
            [(side, *(f"{each[key]:.4f}" for key in ("mean", "none", "ks"))) for side, each in counted.items()],
        )
    if planted := found.get("canaries"):
        console.print_line("")
        print_table(
            ("canaries planted", "exposure, bits", "generated"),
            [
                (f"{repeats} times", f"{each['exposure_bits']:.2f}", f"{each['generated']} of {each['canaries']}")
                for repeats, each in planted.items()
            ],
        )
        console.print_line(CANARIES)
    console.print_line(NOTE)
