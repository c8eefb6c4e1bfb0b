"""Word problems: does a tiny model need tokens to think, and what do exposition, worked and practice problems teach?

    python benchmarks/word_problems.py orders --seeds 3     # the answer first, or the reason first: the same problems
    python benchmarks/word_problems.py stages --seeds 3     # a textbook's three stages, alone and together
    python benchmarks/word_problems.py stages --smoke       # every arm in seconds, to see that all of it works

Every arm begins with the run base-SEED in --runs, which `benchmarks/align.py` trains, too. Problems to measure with
come from a seed that no arm learns from. A run that was finished in --runs is not trained again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.table import Table

import lilliput
from lilliput.base.console import console, emit, print_line, use_json
from lilliput.base.statistics import mean_of, wilson
from lilliput.data.story_tasks import Arithmetic
from lilliput.evaluation.instructions import replies
from teaching import QUICK, TINY, mismatched, rates, write_rows
from whole_runs import train_whole

PROBLEMS = {"arithmetic": 1.0}
PRACTICE = (
    "objective.rewards=[{kind: rule, rule: answer}]",
    "objective.max_completion_length=48",
    "train.steps=80",
)
SMOKE = ("train.steps=3", *QUICK, "data.sources.0.count=200")


@dataclass(frozen=True)
class Arm:
    """Steps of teaching, one after the other: names that `step` knows."""

    name: str
    steps: tuple[str, ...]


ORDERS = (
    Arm("base", ()),
    Arm("mismatched", ("mismatched",)),
    Arm("answer first", ("answer",)),
    Arm("reason first", ("reason",)),
)
STAGES = (
    Arm("base", ()),
    Arm("exposition", ("exposition",)),
    Arm("worked", ("worked",)),
    Arm("practice", ("practice",)),
    Arm("exposition, worked", ("exposition", "worked")),
    Arm("exposition, practice", ("exposition", "practice")),
    Arm("worked, practice", ("worked", "practice")),
    Arm("exposition, worked, practice", ("exposition", "worked", "practice")),
)


def dialogues(order: str, steps: int = 600) -> tuple[str, ...]:
    """Overrides of the recipe chat for problems with their reply in this order."""
    return (f"data.sources=[{{kind: arithmetic, count: 6000, order: {order}}}]", f"train.steps={steps}", *rates())


def step(name: str, runs: Path, chats: bool, count: int) -> tuple[str, list[str], str]:
    """The recipe, its overrides and a file of data, '' for none. `chats` is whether the model has a chat template,
    `count` the number of problems in a file."""
    if name in ("answer", "reason"):
        return "chat", list(dialogues(name)), ""
    if name == "worked":  # the reason first, too short to learn all of it: else nothing is left for the other stages
        return "chat", list(dialogues("reason", 240)), ""
    if name == "mismatched":  # a control: replies of the right form, each under the problem of its neighbour
        file = mismatched(Arithmetic(count=count), runs / "mismatched-problems.jsonl")
        return "chat", ["train.steps=600", *rates()], str(file)
    if name == "exposition":
        sources = "data.sources=[{kind: arithmetic, count: 6000, form: exposition}]"
        return "story", [sources, "train.steps=400", "evaluate.final_heroes=0", "evaluate.heroes=0", *rates()], ""
    if chats:
        return "grpo", ["data.sources=[{kind: story_prompts, shares: {arithmetic: 1}}]", *PRACTICE], ""
    return "grpo", list(PRACTICE), str(_plain_prompts(runs, count))


def _plain_prompts(runs: Path, count: int) -> Path:
    """Problems as plain text, for a model that cannot chat."""
    rows = [document.example for document in Arithmetic(count=count).documents()]
    asked = [(row.row["messages"][0]["content"], row.columns["answer"]) for row in rows if row is not None]
    return write_rows(runs / "problems.jsonl", [{"prompt": f"{text}\n", "answer": answer} for text, answer in asked])


def trained(arm: Arm, seed: int, runs: Path, smoke: bool) -> Path:
    """Train the steps of an arm that are not trained yet. Returns the last run's folder."""
    run, name, chats = runs / f"base-{seed}", "", False
    if not arm.steps:
        train_whole("story", TINY if smoke else (), name=run.name, runs=runs, seed=seed)
    for each in arm.steps:
        name = f"{name}{each}-"
        recipe, overrides, data = step(each, runs, chats, 200 if smoke else 6000)
        limits = [one for one in SMOKE if not data or not one.startswith("data")] if smoke else []
        given: dict[str, Any] = {"data": data} if data else {}
        print_line(f"{name}{seed}: {recipe} from {run}")
        train_whole(
            recipe,
            [*overrides, *limits],
            name=f"{name}{seed}",
            runs=runs,
            seed=seed,
            from_=run,
            notify=print_line,
            **given,
        )
        run, chats = runs / f"{name}{seed}", chats or recipe == "chat"
    return run


def measured(arms: Sequence[Arm], seeds: Sequence[int], runs: Path, count: int, smoke: bool) -> dict[str, Any]:
    """The share of problems whose answer is right, by arm: each seed's, with their mean and its 95% interval (t); of a
    single seed Wilson's interval."""
    found: dict[str, Any] = {}
    for arm in arms:
        rows = []
        for seed in seeds:
            model = lilliput.load(trained(arm, seed, runs, smoke), notify=lambda text: None)
            rows.append(replies(model, count, temperature=0.0, max_tokens=64, shares=PROBLEMS))
        right = [sum(reply.done for reply in row) for row in rows]
        mean = mean_of([each / count for each in right])
        found[arm.name] = {
            "right": mean.mean,
            "margin": mean.margin,
            "one_run": list(wilson(right[0], count)),
            "seeds": [each / count for each in right],
            "score": sum(reply.score for row in rows for reply in row) / (count * len(rows)),
            "example": rows[0][0].text,
        }
    return found


def print_table(found: dict[str, Any]) -> None:
    """Print the arms as a table."""
    shown = Table(box=box.SIMPLE_HEAD)
    for title in ("", "right", "95%", "mean score", "a reply"):
        shown.add_column(title)
    for name, row in found.items():
        low, high = row["one_run"]
        around = f"± {row['margin']:.1%}" if row["margin"] is not None else f"{low:.0%} to {high:.0%} (one run)"
        shown.add_row(name, f"{row['right']:.1%}", around, f"{row['score']:.3f}", row["example"][:70])
    console.print(shown)


app = typer.Typer(add_completion=False, no_args_is_help=True)
Seeds = Annotated[int, typer.Option(min=1, help="Number of seeds.")]
Runs = Annotated[Path, typer.Option(help="Folder of the runs.")]
Count = Annotated[int, typer.Option(min=8, help="Number of problems to measure with.")]
Smoke = Annotated[bool, typer.Option("--smoke", help="Every arm in seconds.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def command(arms: Sequence[Arm]) -> Callable[..., None]:
    """The command that trains and measures `arms`."""

    def run(
        seeds: Seeds = 1, runs: Runs = Path("runs/align"), count: Count = 400, smoke: Smoke = False, json: Json = False
    ) -> None:
        use_json(json)
        runs.mkdir(parents=True, exist_ok=True)
        found = measured(arms, range(1, seeds + 1), runs, 16 if smoke else count, smoke)
        print_table(found)
        if json:
            emit({"seeds": seeds, "arms": found})

    return run


app.command("orders", help="The answer first, or the reason first.")(command(ORDERS))
app.command("stages", help="Exposition, worked and practice problems, alone and together.")(command(STAGES))

if __name__ == "__main__":
    app()
