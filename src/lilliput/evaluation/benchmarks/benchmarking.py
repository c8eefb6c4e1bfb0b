"""Benchmarks of a model beside controls, and the same through lm-evaluation-harness."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lilliput.base.console import print_line, progress
from lilliput.base.endpoint import Judge
from lilliput.base.errors import ConfigError
from lilliput.base.statistics import Estimate, estimate
from lilliput.evaluation.benchmarks.harness import through_harness
from lilliput.evaluation.benchmarks.loading import available, records
from lilliput.evaluation.benchmarks.measure import Row, measure
from lilliput.evaluation.benchmarks.task import TASKS, Generation, Likelihood, Record, Task, Tools
from lilliput.evaluation.controls import UNTRAINED, untrained
from lilliput.generation.loading import load
from lilliput.generation.text_generator import TextGenerator
from lilliput.runs.evaluation_file import keep_evaluation
from lilliput.runs.finding import model_folder

Loaded = dict[str, tuple[Task, list[Record]]]
HARNESS = "lm-eval"
BOTH_SIDES = ", both sides"
"""Behind the name of a hybrid model in the table, whose choices were scored by its predictions of hidden tokens."""


def benchmark(
    path: str | Path,
    tasks: Sequence[str],
    task_data: str | Path | None = None,
    *,
    against: Sequence[str | Path] = (),
    controls: bool = True,
    max_items: int | None = None,
    judge: Judge | None = None,
    allow_code: bool = False,
    through: str | None = None,
    device: str = "auto",
    notify: Callable[[str], None] = print_line,
) -> list[dict[str, Any]]:
    """Scores of the model at `path` on `tasks` ("all": every task that `task_data` holds), a row a task and metric:

        {"task", "metric", "items", "chance", "cut", "scores": {model: {"score", "stderr", "verdict"}}, "parts"}

    where the models are `path` itself (twice for a model of objective.kind=hybrid, from left to right and by both
    sides), the same shape with untrained weights (`controls`), the models at `against`, and
    with `through` "lm-eval" the harness on the saved folder. `task_data` is a file or folder, or None for the Hugging
    Face hub. A whole run's table is kept in its evaluation.json. Raises LilliputError."""
    if through not in (None, HARNESS):
        raise ConfigError(f"benchmarks cannot be run through '{through}'", f"known: {HARNESS}")
    loaded = load_tasks(tasks, task_data, max_items)
    generator = load(path, device, notify)
    _check_model(generator, path, loaded, through)
    tools = Tools(judge, allow_code)
    place = next(generator.model.parameters()).device
    harness = through_harness(model_folder(path, notify), loaded, str(place)) if through else {}
    models = {str(path): generator}
    if controls:
        models[UNTRAINED] = untrained(generator)
    for other in against:
        models[str(other)] = load(other, device, notify)
    choices = all(isinstance(task, Likelihood) for task, _ in loaded.values())
    hybrid = {
        f"{name}{BOTH_SIDES}": each for name, each in models.items() if choices and each.objective.predicts_hidden
    }
    found: dict[str, list[Row]] = {}
    for name, each in {**models, **hybrid}.items():
        found[name] = []
        for task_name, (task, items) in loaded.items():
            with progress(f"{task_name}, {name}", len(items), "items") as bar:
                found[name] += measure(task_name, task, items, each, tools, bar.advance, name in hybrid)
    table = _table(found)
    for row in table if through else ():
        scores = harness[row["task"]][row["metric"]]
        graded = row["metric"] in loaded[row["task"]][0].graded
        row["scores"][HARNESS] = _beside(estimate(scores, [row["chance"]] * len(scores), graded))
    keep_evaluation(path, "benchmarks", table)
    return table


def _check_model(generator: TextGenerator, path: str | Path, loaded: Loaded, through: str | None) -> None:
    """Raise ConfigError for a model that these tasks cannot ask."""
    if generator.objective.reads_source:
        raise ConfigError(
            f"{path} answers a source, and benchmarks score what continues a text",
            f"read its own figures: lilliput report {path}",
        )
    if not generator.objective.generates:
        _check_masked(generator, loaded, through)
    if not generator.objective.reads_forwards:
        raise ConfigError(
            f"{path} reads backwards, and benchmarks go on from their questions",
            "bits per byte compare it: lilliput evaluate RUN",
        )


def _check_masked(generator: TextGenerator, loaded: Loaded, through: str | None) -> None:
    """Raise ConfigError unless an encoder can answer these tasks: by pseudo-log-likelihoods, and here."""
    asked = [name for name, (task, _) in loaded.items() if isinstance(task, Generation)]
    if generator.model.config.causal or asked:
        raise ConfigError(
            f"this model generates no text, and {', '.join(asked) or 'benchmarks'} need it",
            "an encoder answers tasks of choices, such as --tasks blimp",
        )
    if through is not None:
        raise ConfigError(f"{through} has no pseudo-log-likelihood", f"leave --through {through} out")


def load_tasks(tasks: Sequence[str], task_data: str | Path | None, max_items: int | None) -> Loaded:
    """Tasks by name with their records; ("all",) for every task that the folder `task_data` holds."""
    names = list(tasks)
    if names == ["all"]:
        if task_data is None:
            raise ConfigError("'all' means every task of a folder", "name the folder: --task-data FOLDER")
        names = [name for name in available(Path(task_data)) if name not in NEED_MORE]
    if not names:
        raise ConfigError(
            f"{task_data} holds no known task" if tasks else "no task is named", f"known: {', '.join(TASKS)}"
        )
    return {name: (TASKS[name](), records(name, task_data, max_items)) for name in dict.fromkeys(names)}


NEED_MORE = ("humaneval", "mt_bench")
"""Tasks that 'all' leaves out: one runs programs that the model wrote, one needs a judge."""


def _table(found: dict[str, list[Row]]) -> list[dict[str, Any]]:
    table = []
    for rows in zip(*found.values(), strict=True):
        first: Row = rows[0]
        scores = {name: _beside(row.total) for name, row in zip(found, rows, strict=True)}
        plain = first.as_dict()
        kept = {key: plain[key] for key in ("task", "metric", "items", "chance", "cut")}
        table.append({**kept, "scores": scores, "parts": plain["parts"]})
    return table


def _beside(found: Estimate) -> dict[str, Any]:
    return {"score": found.score, "stderr": found.stderr, "verdict": found.verdict}
