"""Synthetic rows of UCI Adult: cost, quality and leakage, each beside its goal.

    python benchmarks/tables.py --data ../shared/data                # five CPU-minutes a seed, and two to measure
    python benchmarks/tables.py --data ../shared/data --epsilon 8    # trained by DP-SGD: the price of privacy
    python benchmarks/tables.py --data ../shared/data --peer tabular-argn=ENV/bin/python --peer copula=ENV2/bin/python
    python benchmarks/tables.py --data ../shared/data --smoke        # in a minute, to see that all of it works

The rows are divided into halves by a seed. A model with default settings learns one half and generates as many rows;
the other half is held out. Trees predict the income on held-out rows. A peer (tabular-argn, copula, ctgan, tvae) learns
the same half with its own defaults, in the environment of its Python (workers/tables_peers.py), on one thread.
"""

from __future__ import annotations

import csv
import gzip
import json
import os
import random
import resource
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan
from pathlib import Path
from statistics import mean
from typing import Annotated, Any

import typer
from rich import box
from rich.table import Table

from lilliput.base.console import console, emit, print_line, use_json
from lilliput.base.errors import ConfigError
from lilliput.cli.main import one_line_errors
from lilliput.data.columns.inferring import infer_schema
from lilliput.data.columns.reading import Columns
from lilliput.data.columns.schema import TableSchema
from lilliput.runs.names import EPSILON, PRIVACY
from lilliput.worlds.tables.evaluating import compare_tables, read_table
from lilliput.worlds.tables.generating import sampler_of
from lilliput.worlds.tables.running import train_table
from lilliput.worlds.tables.training import load_fitted

WORKER = Path(__file__).with_name("workers") / "tables_peers.py"
ADULT = "tables/uci_adult.train.csv.gz"
GOALS = {
    "training, CPU-seconds": "at most 300",
    "rows a CPU-second": "at least 1,000",
    "shape error": "at most 0.020",
    "pair error": "",
    "detection AUC": "at most 0.650",
    "AUC trained on synthetic rows": "at least 0.900",
    "AUC trained on real rows": "",
    "closer to a training row": "0.480 to 0.520",
    "copies of training less held-out rows": "at most 0.002",
    "standard error of these, at most": "",
    "membership AUC": "",
}
SMOKE = ("train.epochs=null", "train.steps=6", "train.compile=false")


@dataclass(frozen=True)
class Study:
    """The folder of real data, the folder of the runs, whether all is tiny, and the epsilon of training."""

    data: Path
    runs: Path
    smoke: bool = False
    epsilon: float | None = None


def divided(data: Path, seed: int, paths: tuple[Path, Path], size: int | None = None) -> None:
    """Write two parts of `size` rows of UCI Adult as CSV, drawn by a seed; without a size two halves. Raises
    ConfigError for a folder without the file."""
    file = data / ADULT
    if not file.is_file():
        raise ConfigError(f"{data} has no {ADULT}", "give the folder that holds it: --data FOLDER")
    with gzip.open(file, "rt", encoding="utf-8", newline="") as lines:
        head, *rows = csv.reader(lines)
    random.Random(seed).shuffle(rows)
    cut = size or len(rows) // 2
    for path, part in zip(paths, (rows[:cut], rows[cut : 2 * cut]), strict=True):
        with open(path, "w", newline="", encoding="utf-8") as out:
            csv.writer(out).writerows([head, *part])


def halves(study: Study, seed: int) -> tuple[Path, Path]:
    """Write the two halves of the rows as CSV, and return their files."""
    study.runs.mkdir(parents=True, exist_ok=True)
    paths = (study.runs / f"train-{seed}.csv", study.runs / f"held-{seed}.csv")
    divided(study.data, seed, paths)
    return paths


def cpu_seconds() -> float:
    """Return the processor time of this process and of those that it waited for."""
    uses = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(use.ru_utime + use.ru_stime for use in uses)


def measured(study: Study, seed: int, overrides: Sequence[str]) -> dict[str, float]:
    """Train, generate and measure for one seed."""
    train, held = halves(study, seed)
    name = f"adult-{seed}" if study.epsilon is None else f"adult-{seed}-epsilon-{study.epsilon:g}"
    print_line(f"{name}: {' '.join(overrides)}")
    began = cpu_seconds()
    given = [*(SMOKE if study.smoke else ()), f"seed={seed}", *overrides]
    settings: dict[str, Any] = {"epsilon": study.epsilon, "runs": study.runs, "live": False}
    run, _ = train_table([str(train)], given, name=name, notify=lambda text: None, **settings)
    if not run.summary:
        raise ConfigError(f"the run {name} was interrupted", "delete it, and repeat the command: its cost is measured")
    spent = cpu_seconds() - began
    sampler, fitted = sampler_of(run.path, {}, 1.0)
    count = fitted.codec.rows if not study.smoke else 1600
    began = time.process_time()
    made = sampler.sample(count, seed)
    speed = count / (time.process_time() - began)
    figures = judged(load_fitted(run.path).codec.table, train, held, made, seed)
    spelled = {EPSILON: run.summary[PRIVACY]["epsilon"]} if study.epsilon is not None else {}
    return {**spelled, "training, CPU-seconds": spent, "rows a CPU-second": speed, **figures}


def peer_measured(study: Study, seed: int, name: str, python: str) -> dict[str, float]:
    """Have a peer learn and generate, and measure its rows. Raises ConfigError where the peer is absent or fails."""
    train, held = halves(study, seed)
    out = study.runs / f"{name}-{seed}.csv"
    schema = infer_schema([str(train)])
    rows = len(read_table([str(train)], schema)["income"])
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    words = [python, str(WORKER), name, str(train), str(out), str(rows)]
    done = subprocess.run(words, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode or not done.stdout.strip():
        raise ConfigError(f"the peer {name} failed with {done.returncode}", "its own words stand above")
    found = json.loads(done.stdout.splitlines()[-1])
    if "absent" in found:
        raise ConfigError(f"the peer {name} is absent: {found['absent']}", f"name another Python: --peer {name}=PYTHON")
    print_line(f"{name}: {found['versions']}")
    speed = rows / max(found["sample"], 1e-9)
    figures = judged(schema, train, held, read_table([str(out)], schema), seed)
    return {"training, CPU-seconds": found["fit"], "rows a CPU-second": speed, **figures}


def judged(schema: TableSchema, train: Path, held: Path, made: Columns, seed: int) -> dict[str, float]:
    """Return the quality and the leakage of synthetic rows."""
    real, other = (read_table([str(path)], schema) for path in (train, held))
    count = len(next(iter(made.values())))
    found = compare_tables(schema, real, other, made, target="income", seed=seed)
    quality, leakage = found["quality"]["synthetic"], found["leakage"]
    copied = [leakage[f"copies_of_{side}"]["share"] for side in ("train", "test")]
    return {
        "shape error": quality["shape_error"],
        "pair error": quality["pair_error"],
        "detection AUC": quality["detection_auc"],
        "AUC trained on synthetic rows": found["worth"]["synthetic"],
        "AUC trained on real rows": found["worth"]["real"],
        "closer to a training row": leakage["closer_to_train"]["share"],
        "copies of training less held-out rows": copied[0] - copied[1],
        # As if the two were independent. Rows that equal both make the difference surer.
        "standard error of these, at most": sum(share * (1 - share) / count for share in copied) ** 0.5,
        "membership AUC": leakage["membership_auc"]["share"],
    }


def print_table(rows: Sequence[dict[str, float]], peers: Mapping[str, Sequence[dict[str, float]]]) -> None:
    """Print each figure by seed, its mean, its goal, and the mean of each peer."""
    seeds = (f"seed {number}" for number in range(1, len(rows) + 1))
    shown = Table("", *seeds, "mean", "goal", *peers, box=box.SIMPLE_HEAD)
    for key, goal in ({EPSILON: ""} | GOALS).items():
        if key not in rows[0]:
            continue
        values = [row[key] for row in rows]
        theirs = [mean(row[key] for row in each) if key in each[0] else nan for each in peers.values()]
        spelled = [f"{value:,.0f}" if "CPU" in key else f"{value:.4f}" for value in (*values, mean(values), *theirs)]
        shown.add_row(key, *spelled[: len(values) + 1], goal, *spelled[len(values) + 1 :])
    console.print(shown)


app = typer.Typer(add_completion=False)


@app.command(help="Synthetic rows of UCI Adult beside their goals.")
def main(
    overrides: Annotated[
        list[str] | None, typer.Argument(help="key=value of the recipe, such as train.epochs=4.")
    ] = None,
    data: Annotated[Path, typer.Option(help="Folder with tables/.")] = Path("../shared/data"),
    runs: Annotated[Path, typer.Option(help="Folder of the runs.")] = Path("runs/tables"),
    seeds: Annotated[int, typer.Option(min=1, help="Number of seeds.")] = 1,
    epsilon: Annotated[float | None, typer.Option(help="Train by DP-SGD that spends this epsilon.")] = None,
    peer: Annotated[
        list[str] | None, typer.Option(help="NAME=PYTHON: a peer, and the Python of its environment. Repeatable.")
    ] = None,
    smoke: Annotated[bool, typer.Option("--smoke", help="All of it in a minute.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    use_json(as_json)
    pythons = {name: python for name, _, python in (each.partition("=") for each in peer or ())}
    study = Study(data, runs, smoke, epsilon)
    rows = [measured(study, seed, overrides or ()) for seed in range(1, seeds + 1)]
    peers = {
        name: [peer_measured(study, seed, name, python) for seed in range(1, seeds + 1)]
        for name, python in pythons.items()
    }
    print_table(rows, peers)
    if as_json:
        found: dict[str, Any] = {"seeds": rows, "peers": peers, "goals": GOALS}
        emit(found)


if __name__ == "__main__":
    with one_line_errors():
        app()
