"""Quality against leakage of synthetic rows: by epochs, by size of the model, and with DP-SGD.

    python benchmarks/leakage.py --data ../shared/data --seeds 3           # UCI Adult and made payments, one core
    python benchmarks/leakage.py --data ../shared/data --only adult        # one of the tables
    python benchmarks/leakage.py --data ../shared/data --smoke             # in minutes, to see that all of it works

Each run learns 4,000 rows of UCI Adult, or the payments of 400 made-up people over 21 days: as much as a small company
has. As many rows are held out. Among the rows of Adult are canaries, 20 each that stand there 1, 4 and 16 times. A
model is better the less its rows differ from real ones, and the less can be told from them, or from the model, who was
in the training rows. A run that was finished in --runs is not trained again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.table import Table

from lilliput.base.console import console, emit, print_line, use_json
from lilliput.base.errors import ConfigError
from lilliput.base.statistics import mean_of
from lilliput.cli.main import one_line_errors
from lilliput.worlds.population.files import read_diaries, write_payments
from lilliput.worlds.population.running import make_diaries, make_people
from lilliput.worlds.tables.running import evaluate_table, plant_canaries, train_table
from tables import SMOKE, divided

ROWS, PEOPLE, DAYS = 4000, 400, 21
SMALL = ("model.d_model=32", "model.n_layers=2", "model.d_mlp=88")
LARGE = ("model.d_model=128", "model.n_layers=4", "model.n_heads=4", "model.d_mlp=352")
ARMS: dict[str, tuple[tuple[str, ...], float | None]] = {
    **{f"{epochs} epochs": ((f"train.epochs={epochs}",), None) for epochs in (2, 5, 10, 20, 40, 80)},
    "small, 20 epochs": ((*SMALL, "train.epochs=20"), None),
    "large, 20 epochs": ((*LARGE, "train.epochs=20"), None),
    "epsilon 8": ((), 8.0),
    "epsilon 1": ((), 1.0),
}
"""Overrides and epsilon of each arm. The default model has 3 layers of width 64; DP-SGD has its own epochs."""
FIGURES = ("shape error", "detection AUC", "worth", "closer to train", "membership", "by the model", "exposure")


@dataclass(frozen=True)
class Study:
    """The folder of real data, the folder of the runs, and whether all is tiny."""

    data: Path
    runs: Path
    smoke: bool = False


def adult(study: Study, seed: int) -> dict[str, Any]:
    """Write training rows with canaries among them, and held-out rows. Returns what training and evaluation need.
    Raises ConfigError for a folder without the file."""
    plain, held, planted = (study.runs / f"adult-{side}-{seed}.csv" for side in ("rows", "held", "train"))
    divided(study.data, seed, (plain, held), ROWS)
    secrets = planted.with_suffix(".canaries.json")
    if not secrets.is_file():
        planted.unlink(missing_ok=True)
        plant_canaries([str(plain)], planted, seed=seed)
    return {"train": planted, "held": held, "fit": {}, "judge": {"target": "income", "canaries": secrets}}


def payments(study: Study, seed: int) -> dict[str, Any]:
    """Write the payments of made-up people of two draws. Returns what training and evaluation need."""
    found = []
    for number, side in enumerate(("train", "held")):
        people, days, out = (
            study.runs / f"payments-{side}-{seed}.{end}" for end in ("people.jsonl", "days.jsonl", "csv")
        )
        if not out.is_file():
            for path in (people, days):
                path.unlink(missing_ok=True)
            make_people(people, PEOPLE, seed=2 * seed + number)
            make_diaries(people, days, days=DAYS, seed=2 * seed + number)
            write_payments(out, read_diaries(days))
        found.append(out)
    return {"train": found[0], "held": found[1], "fit": {"entity": "user_id", "time": "time"}, "judge": {}}


TABLES = {"adult": adult, "payments": payments}


def measured(study: Study, table: str, arm: str, seed: int) -> dict[str, float]:
    """Train an arm, or find it finished, generate and measure."""
    files = TABLES[table](study, seed)
    overrides, epsilon = ARMS[arm]
    name = f"{table}-{arm.replace(', ', '-').replace(' ', '-')}-{seed}"
    print_line(name)
    # Models that learned nothing write few payments, too few for the figures.
    given = [f"seed={seed}", *overrides, *([*SMOKE, "train.steps=100"] if study.smoke else ())]
    settings: dict[str, Any] = {**files["fit"], "epsilon": epsilon, "runs": study.runs, "live": False}
    run, _ = train_table([str(files["train"])], given, name=name, notify=lambda text: None, **settings)
    if not run.summary:
        raise ConfigError(f"the run {name} was interrupted", "repeat the command: it goes on where the run ended")
    kept = run.path / "leakage.json"
    if kept.is_file():
        return json.loads(kept.read_text(encoding="utf-8"))
    found, _ = evaluate_table(run.path, [str(files["held"])], seed=seed, notify=lambda text: None, **files["judge"])
    figures = figures_of(found)
    kept.write_text(json.dumps(figures), encoding="utf-8")
    return figures


def figures_of(found: Mapping[str, Any]) -> dict[str, float]:
    """Return the figures of FIGURES that a report holds. `worth` is the AUC of trees that learned synthetic rows.
    `exposure` is in bits, of canaries that stood once among the rows."""
    quality, leakage = found["quality"]["synthetic"], found["leakage"]
    figures = {
        "shape error": quality["shape_error"],
        "detection AUC": quality["detection_auc"],
        "closer to train": leakage["closer_to_train"]["share"],
        "membership": leakage["membership_auc"]["share"],
    }
    if "worth" in found:
        figures["worth"] = found["worth"]["synthetic"]
        figures["worth, real"] = found["worth"]["real"]
    if "membership_auc_by_likelihood" in leakage:
        figures["by the model"] = leakage["membership_auc_by_likelihood"]["share"]
    for repeats, each in found.get("canaries", {}).items():
        figures["exposure" if repeats == "1" else f"exposure, {repeats} times"] = each["exposure_bits"]
    return figures


def print_table(table: str, rows: Mapping[str, Sequence[Mapping[str, float]]]) -> None:
    """Print the means over the seeds, each with half of its 95% interval."""
    shown = Table(table, *FIGURES, box=box.SIMPLE_HEAD)
    for arm, each in rows.items():
        cells = []
        for key in FIGURES:
            values = [row[key] for row in each if key in row]
            mean = mean_of(values) if values else None
            wide = "" if mean is None or mean.margin is None else f" ± {mean.margin:.3f}"
            cells.append("" if mean is None else f"{mean.mean:.3f}{wide}")
        shown.add_row(arm, *cells)
    console.print(shown)


app = typer.Typer(add_completion=False)


@app.command(help="Quality against leakage of synthetic rows.")
def main(
    data: Annotated[Path, typer.Option(help="Folder with tables/.")] = Path("../shared/data"),
    runs: Annotated[Path, typer.Option(help="Folder of the runs.")] = Path("runs/leakage"),
    seeds: Annotated[int, typer.Option(min=1, help="Number of seeds.")] = 3,
    only: Annotated[list[str] | None, typer.Option(help=f"A table: {', '.join(TABLES)}. Left out: both.")] = None,
    arm: Annotated[list[str] | None, typer.Option(help="An arm, such as '20 epochs'. Left out: all.")] = None,
    smoke: Annotated[bool, typer.Option("--smoke", help="Every run in seconds.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    use_json(as_json)
    for name, known in ((each, TABLES) for each in only or ()):
        if name not in known:
            raise ConfigError(f"there is no table '{name}'", f"tables: {', '.join(known)}")
    for name in arm or ():
        if name not in ARMS:
            raise ConfigError(f"there is no arm '{name}'", f"arms: {', '.join(ARMS)}")
    runs.mkdir(parents=True, exist_ok=True)
    study = Study(data, runs, smoke)
    found: dict[str, dict[str, list[dict[str, float]]]] = {}
    for table in only or TABLES:
        found[table] = {
            name: [measured(study, table, name, seed) for seed in range(1, seeds + 1)] for name in arm or ARMS
        }
        print_table(table, found[table])
    if as_json:
        emit({"tables": found})


if __name__ == "__main__":
    with one_line_errors():
        app()
