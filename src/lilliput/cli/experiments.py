"""`lilliput experiments`: list a queue of runs in a YAML file, work through it, retry failed runs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lilliput.cli.options import Json
from lilliput.runs.names import VAL_BITS_PER_BYTE

if TYPE_CHECKING:
    from lilliput.lab.experiments import Experiments
    from lilliput.lab.queue_file import Experiment
    from lilliput.lab.worker import Outcome

app = typer.Typer(help="Work through a queue of runs in one YAML file.", no_args_is_help=True)

FAILED, INTERRUPTED = 1, 130
File = Annotated[Path, typer.Option(help="The YAML file of the queue.")]
QUEUE = Path("experiments.yaml")


@app.command("list")
def list_experiments(file: File = QUEUE, json: Json = False) -> None:
    """List every experiment with its state. A state is todo, running, interrupted, done or failed."""
    from lilliput.base import console
    from lilliput.lab.experiments import Experiments

    console.use_json(json)
    experiments = Experiments(file)
    rows = [
        {
            "name": one.name,
            "state": state,
            "config": one.config,
            "devices": one.devices,
            **_score(experiments, one),
            "last_run": one.last_run.model_dump() if one.last_run else None,
        }
        for one, state in experiments.states()
    ]
    if json:
        console.emit({"file": file, "experiments": rows})
        return
    wide = max((len(row["name"]) for row in rows), default=0)
    for row in rows:
        console.print_line(f"{row['name']:{wide}}  {row['state']:11}  {_detail(row)}".rstrip())


def _score(experiments: Experiments, one: Experiment) -> dict[str, Any]:
    found = experiments.score(one)
    return {VAL_BITS_PER_BYTE: None, "figure": None} if found is None else found[0].named(found[1])


def _detail(row: dict[str, Any]) -> str:
    run, figure = row["last_run"], row["figure"]
    if row["state"] == "running" and run:
        return f"since {run['started']} on {run['host']}, process {run['pid']}"
    if row["state"] == "failed" and run and run["reason"]:
        return run["reason"]
    if figure is None or figure["value"] is None:
        return row["config"]
    return f"{figure['value']:.3f} {figure['unit']}"


@app.command("run-next")
def run_next(file: File = QUEUE, json: Json = False) -> None:
    """Train the first experiment with the status todo. An interrupted experiment resumes."""
    _work(file, json, None, count=1)


@app.command("run")
def run(
    name: Annotated[str, typer.Argument(help="An experiment's name; a failed experiment is tried again.")],
    file: File = QUEUE,
    json: Json = False,
) -> None:
    """Train one experiment."""
    _work(file, json, name, count=1)


@app.command("run-all")
def run_all(file: File = QUEUE, json: Json = False) -> None:
    """Train every experiment with the status todo, one after another. Any number of workers may share one file."""
    _work(file, json, None, count=None)


@app.command("retry")
def retry(
    name: Annotated[str | None, typer.Argument(help="One experiment instead of all failed experiments.")] = None,
    file: File = QUEUE,
    json: Json = False,
) -> None:
    """Put failed and interrupted experiments back to todo. Training resumes from their last checkpoints."""
    from lilliput.base import console
    from lilliput.lab.experiments import Experiments

    console.use_json(json)
    names = Experiments(file).retry(name)
    if json:
        console.emit({"file": file, "todo": names})
    else:
        console.print_line("\n".join(f"{name}  todo" for name in names) or "no experiment failed")


def _work(file: Path, json: bool, name: str | None, count: int | None) -> None:
    """Work on the queue. Exit with code 1 when an experiment failed, with 130 when a person interrupted one."""
    from lilliput.base import console
    from lilliput.lab.experiments import Experiments
    from lilliput.lab.worker import work_on

    console.use_json(json)
    outcomes = []
    for outcome in work_on(Experiments(file), name, count):
        outcomes.append(outcome)
        console.print_line(_line(outcome))
    if json:
        console.emit({"file": file, "outcomes": [_plain(outcome) for outcome in outcomes]})
    elif not outcomes:
        console.print_line("no experiment has the status todo")
    else:
        _print_next(file)
    _exit(outcomes)


def _print_next(file: Path) -> None:
    """Print the commands that continue the queue, where experiments are left."""
    from lilliput.base import console
    from lilliput.lab.experiments import Experiments

    states = {state for _, state in Experiments(file).states()}
    verbs = {"run-next": {"todo", "interrupted"}, "retry": {"failed"}}
    queue = "" if file == QUEUE else f" --file {console.typed(file)}"
    lines = [f"  {console.command()} experiments {verb}{queue}" for verb, wanted in verbs.items() if states & wanted]
    if lines:
        console.print_line("\n".join(["", "next:", *lines]))


def _line(outcome: Outcome) -> str:
    if outcome.status == "todo":
        return f"{outcome.experiment.name}  interrupted; the same command resumes it"
    return f"{outcome.experiment.name}  {outcome.status}" + (f": {outcome.reason}" if outcome.reason else "")


def _plain(outcome: Outcome) -> dict[str, Any]:
    return {
        "name": outcome.experiment.name,
        "status": outcome.status,
        "exit_code": outcome.exit_code,
        "reason": outcome.reason,
    }


def _exit(outcomes: Iterable[Outcome]) -> None:
    ends = {outcome.status for outcome in outcomes}
    if "todo" in ends:
        raise typer.Exit(INTERRUPTED)
    if "failed" in ends:
        raise typer.Exit(FAILED)
