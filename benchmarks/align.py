"""One small story model through every stage of teaching: base, chat, its control, DPO, GRPO, PPO; a table and a page.

    make align                                       # all stages, one seed
    python benchmarks/align.py --seeds 3 --json      # the means of three seeds, with intervals
    python benchmarks/align.py --smoke               # every stage in seconds, to see that all of it works

Each stage is a shipped recipe. A stage that was finished in --runs is not trained again. Stages that need nothing of
each other are trained side by side, each on cores of its own; NAME.log in --runs is what a stage printed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from string import Formatter
from typing import Annotated, Any

import typer
from rich import box
from rich.table import Table

import lilliput
from lilliput.assembly.recipe import load
from lilliput.base.console import console, emit, print_line, use_json
from lilliput.base.files import write_text
from lilliput.base.html import document, escape, table
from lilliput.base.statistics import mean_of
from lilliput.data.story_tasks import Instructions
from lilliput.evaluation.instructions import Reply, replies, summary
from lilliput.runs.run_folder import RunFolder
from side_by_side import Piece, do_all, processes
from teaching import QUICK, TINY, mismatched, own_pairs, rates
from whole_runs import train_whole

JUDGED = ("val_accuracy", "val_accuracy_low", "val_accuracy_high", "val_calibration_error")
"""Figures of the reward model on held-out pairs."""
SHOWN = 4
"""Requests whose replies stand side by side on the page."""


@dataclass(frozen=True)
class Stage:
    """One model: the shipped recipe that makes it and the stage whose weights it begins with.

    overrides  values of the recipe; {NAME} is the folder of that stage's run
    shared     trained once, with the first seed, for all seeds
    replies    whether it replies to requests; a reward model does not
    near_chat  whether its KL divergence from the stage chat is measured: its replies have the same form
    """

    name: str
    recipe: str
    begins: str | None = None
    overrides: tuple[str, ...] = ()
    shared: bool = False
    replies: bool = True
    near_chat: bool = True

    def needs(self) -> tuple[str, ...]:
        """Names of the stages whose runs this one reads."""
        read = {name for text in self.overrides for _, name, _, _ in Formatter().parse(text) if name}
        read |= {self.begins} if self.begins else set()
        return tuple(stage.name for stage in STAGES if stage.name in read)


STAGES = (
    Stage("base", "story", near_chat=False),
    # a control: replies under other requests
    Stage("format", "chat", "base", ("train.steps=1000",), near_chat=False),
    Stage("chat", "chat", "base", near_chat=False),
    Stage(
        "larger", "story", None, ("model.style=story_3m",), shared=True, near_chat=False
    ),  # its tokenizer is that of base
    Stage("teacher", "chat", "larger", shared=True),
    Stage("distilled", "distill", "base", ("objective.teacher={teacher}", "train.steps=2000")),
    Stage("reward", "reward", "chat", replies=False),
    Stage("dpo", "dpo", "chat"),
    Stage("dpo own", "dpo", "chat"),  # the pairs are replies of chat itself
    Stage("kto", "kto", "chat"),
    Stage("grpo", "grpo", "chat"),
    Stage("ppo", "ppo", "chat"),
)
ROLLED = ("train.steps=2", "objective.max_completion_length=8", "objective.num_generations=2", *QUICK)
SMOKE = {
    "base": TINY,
    "larger": TINY,
    "grpo": ROLLED,
    "ppo": ROLLED,
}
SHORT = ("train.steps=3", *QUICK)
SMALL = ("data.sources.0.count=400",)


def folder(name: str, seed: int, runs: Path) -> Path:
    """The run of a stage for a seed."""
    shared = next(stage.shared for stage in STAGES if stage.name == name)
    return runs / f"{name.replace(' ', '-')}-{1 if shared else seed}"


def trained(stage: Stage, seed: int, runs: Path, smoke: bool) -> Path:
    """Train a stage, or find it finished. Returns the run's folder."""
    seed = 1 if stage.shared else seed
    run = folder(stage.name, seed, runs)
    given: dict[str, Any] = {"name": run.name, "runs": runs, "seed": seed, "notify": print_line}
    overrides = [
        text.format_map({one.name: folder(one.name, seed, runs) for one in STAGES}) for text in stage.overrides
    ]
    if stage.recipe == "distill":  # the student reads the same conversations as the stage chat, at its rates
        sources = load("chat").data.model_dump(mode="json")["sources"]
        overrides += [f"data.sources={json.dumps(sources)}", *rates()]
    made = {"format": mismatched_rows, "dpo own": pairs_of_chat}.get(stage.name)
    if made is not None:
        given["data"] = str(made(runs, seed, smoke))
    if stage.begins is not None:
        given["from_"] = folder(stage.begins, seed, runs)
    if smoke:
        overrides += SMOKE.get(stage.name, SHORT)
        overrides += () if made or stage.begins is None else SMALL
    print_line(f"{run.name}: {stage.recipe}" + (f" from {given['from_']}" if stage.begins else ""))
    return train_whole(stage.recipe, overrides, **given)


def mismatched_rows(runs: Path, seed: int, smoke: bool) -> Path:
    """The data of the control `format`."""
    return mismatched(Instructions(count=400 if smoke else 20_000, seed=seed), runs / f"mismatched-{seed}.jsonl")


def pairs_of_chat(runs: Path, seed: int, smoke: bool) -> Path:
    """The data of the stage `dpo own`: 4,000 prompts, each with 4 replies of chat."""
    file = runs / f"pairs-{seed}.jsonl"
    if not file.exists():
        model = lilliput.load(folder("chat", seed, runs), notify=lambda text: None)
        own_pairs(model, 40 if smoke else 4000, seed, file)
    return file


def measured(run: Path, beside: Path | None, count: int) -> tuple[dict[str, Any], list[Reply]]:
    """The figures of one model: the share of requests that it does, its KL divergence from the run `beside`, the bits
    per byte that it lost on its old text; and its first replies. Replies for the divergence are drawn at temperature
    1."""
    model = lilliput.load(run, notify=lambda text: None)
    found = replies(model, count)
    drawn: list[Reply] = []
    if beside is not None:
        drawn = replies(model, count, lilliput.load(beside, notify=lambda text: None), temperature=1.0)
    kept = RunFolder(run).read_summary()
    figures = {**summary(found), "kl": summary(drawn)["kl"] if drawn else None}
    return {**figures, "seconds": kept.get("seconds"), "old_domain": kept.get("old_domain") or {}}, found[:SHOWN]


def study(seeds: Sequence[int], runs: Path, count: int, smoke: bool, at_once: int = 1) -> dict[str, Any]:
    """Train and measure every stage for every seed, `at_once` stages at a time."""
    training: dict[str, Piece] = {}
    measuring: list[Piece] = []
    for seed in seeds:
        for stage in STAGES:
            run = folder(stage.name, seed, runs)
            needs = tuple(folder(name, seed, runs).name for name in stage.needs())
            log = runs / f"{run.name}.log"
            training.setdefault(run.name, Piece(run.name, partial(trained, stage, seed, runs, smoke), log, needs))
            if stage.replies:
                beside = folder("chat", seed, runs) if stage.near_chat else None
                name = _replies(stage.name, seed)
                measuring.append(Piece(name, partial(measured, run, beside, count), log))
    do_all(list(training.values()), at_once)
    found = do_all(measuring, at_once)
    replying = [stage.name for stage in STAGES if stage.replies]
    each = {name: [found[_replies(name, seed)] for seed in seeds] for name in replying}
    rows = {name: [figures for figures, _ in of_seeds] for name, of_seeds in each.items()}
    judges = [RunFolder(folder("reward", seed, runs)).read_summary() for seed in seeds]
    return {
        "seeds": list(seeds),
        "stages": {name: joined(figures, rows["chat"]) for name, figures in rows.items()},
        "reward_model": {name: _mean([judge.get(name) for judge in judges]) for name in JUDGED},
        "texts": {name: of_seeds[0][1] for name, of_seeds in each.items()},
    }


def _replies(name: str, seed: int) -> str:
    return f"replies of {name}, seed {seed}"


def joined(rows: Sequence[dict[str, Any]], chat: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Means over seeds; with two seeds or more, half the width of a 95% interval (t) of the share that is done. `gain`
    is the share less that of the stage chat of the same seed: seeds of chat differ more than what is learned next."""
    done = mean_of([row["done"] for row in rows])
    gain = mean_of([row["done"] - before["done"] for row, before in zip(rows, chat, strict=True)])
    tasks = {
        task: sum(row["tasks"].get(task, 0.0) for row in rows) / len(rows) for row in rows for task in row["tasks"]
    }
    before = [row["old_domain"] for row in rows if row["old_domain"].get("after") is not None]
    return {
        "done": done.mean,
        "margin": done.margin,
        "each": [row["done"] for row in rows],
        "gain": gain.mean,
        "gain_margin": gain.margin,
        "one_run": rows[0]["interval"],
        "score": sum(row["score"] for row in rows) / len(rows),
        "kl": _mean([row["kl"] for row in rows]),
        "words": sum(row["words"] for row in rows) / len(rows),
        "seconds": _mean([row["seconds"] for row in rows]),
        "forgot": _mean([one["after"] - one["before"] for one in before]),
        "tasks": tasks,
    }


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def cells(row: dict[str, Any]) -> dict[str, str]:
    """One stage's figures as a table shows them."""
    interval = (
        f"± {row['margin']:.1%}" if row["margin"] is not None else "{:.0%} to {:.0%} (one run)".format(*row["one_run"])
    )
    gain = f"{row['gain']:+.1%}" + (f" ± {row['gain_margin']:.1%}" if row["gain_margin"] is not None else "")
    kl, forgot, seconds = row["kl"], row["forgot"], row["seconds"]
    return {
        "does what is asked": f"{row['done']:.1%} {interval}",
        "more than chat": gain,
        "mean score": f"{row['score']:.3f}",
        "KL from chat, nats a token": "-" if kl is None else f"{kl:.3f}",
        "forgot (bits a byte)": "-" if forgot is None else f"{forgot:+.3f}",
        "words": f"{row['words']:.0f}",
        "minutes": "-" if seconds is None else f"{seconds / 60:.1f}",
    }


def page(found: dict[str, Any]) -> str:
    """The study as one offline page: the table, the table by task, and replies side by side."""
    rows = {name: cells(row) for name, row in found["stages"].items()}
    tasks = {
        name: {task: f"{share:.0%}" for task, share in row["tasks"].items()} for name, row in found["stages"].items()
    }
    parts = ["<h1>Taught</h1>", table(rows), "<h2>By kind of request</h2>", table(tasks), "<h2>Side by side</h2>"]
    for place in range(SHOWN):
        at = {name: texts[place] for name, texts in found["texts"].items() if place < len(texts)}
        if at:
            parts.append(f"<h3>{escape(next(iter(at.values())).prompt)}</h3>")
            parts.append(
                table({name: {"done": "yes" if one.done else "no", "reply": one.text} for name, one in at.items()})
            )
    return document("Taught", "\n".join(parts), "")


def main(
    seeds: Annotated[int, typer.Option(min=1, help="Number of seeds; every stage is trained once for each.")] = 1,
    runs: Annotated[Path, typer.Option(help="Folder of the runs.")] = Path("runs/align"),
    count: Annotated[int, typer.Option(min=8, help="Number of held-out requests.")] = 400,
    smoke: Annotated[bool, typer.Option("--smoke", help="Every stage in seconds.")] = False,
    at_once: Annotated[int | None, typer.Option(min=1, help="Stages at a time. Left out: one for each core.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Train every stage of teaching, measure each, print a table and write a page."""
    use_json(json)
    runs.mkdir(parents=True, exist_ok=True)
    found = study(range(1, seeds + 1), runs, 16 if smoke else count, smoke, at_once or processes())
    write_text(runs / "align.html", page(found))
    shown = Table(box=box.SIMPLE_HEAD)
    shown.add_column("")
    rows = {name: cells(row) for name, row in found["stages"].items()}
    for title in next(iter(rows.values())):
        shown.add_column(title, justify="right")
    for name, row in rows.items():
        shown.add_row(name, *row.values())
    console.print(shown)
    judge = found["reward_model"]
    if judge["val_accuracy"] is not None:
        print_line("reward model: {:.1%} of held-out pairs ranked right".format(judge["val_accuracy"]))
    print_line(f"page  {runs / 'align.html'}")
    if json:
        emit({**{key: found[key] for key in ("seeds", "stages", "reward_model")}, "page": str(runs / "align.html")})


if __name__ == "__main__":
    typer.run(main)
