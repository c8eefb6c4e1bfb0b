"""Bits per byte against wall clock: Lilliput beside LitGPT's own pretraining loop and llama2.c's recipe.

The same text, tokens, shape and fixed validation set for every arm, scored by one evaluator. Finished runs are kept in
--folder: the same command again does only what is missing. Overrides (section.key=value) hold for every arm.

    python benchmarks/time_to_loss.py --svg docs/time_to_loss.svg        # about four hours, alone on the machine
    python benchmarks/time_to_loss.py --arms ours litgpt_shipped --minutes 2.5 --shipped-minutes 30
    python benchmarks/time_to_loss.py model.style=story_5m tokenizer.vocab_size=4096 --json
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

import goals
from lilliput.base import machine
from lilliput.base.console import console, emit, print_line, use_json
from lilliput.base.errors import ConfigError
from lilliput.base.runtime.threads import configure_threads
from lilliput.cli.main import one_line_errors
from lilliput.training.settings import MICRO_TOKENS
from pictures import write_svg
from pretraining import SHIPPED_BATCH, SHIPPED_RATE, Bench, Outcome, Task, on_edge, search
from rounds import Absent
from train_step import COMPARED, PEERS_PYTHON, same_allocator

ARMS = {
    "ours": "`lilliput train` with the recipe as it ships, under train.seconds; compiling is on its clock",
    "litgpt_shipped": "LitGPT's loop: 131,072 tokens a step, AdamW 0.9/0.95, decay 0.1, clip 1, 5e-4, cosine to 0",
    "litgpt_tuned": "the same loop with the batch and learning rate that a search (not counted) found best",
    "adamw_llama2c": "llama2.c's train.py settings in Lilliput's trainer (its code is in no package registry)",
}


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line, parsed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("overrides", nargs="*", metavar="section.key=value", help="laid over the recipe for every arm")
    parser.add_argument("--recipe", default="story", help="a shipped recipe or a YAML file")
    parser.add_argument("--data", nargs="+", default=[], help="text of your own instead of the recipe's")
    parser.add_argument("--ours", nargs="+", default=[], metavar="KEY=VALUE", help="laid over it for ours alone")
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=list(ARMS))
    parser.add_argument(
        "--minutes", nargs="*", type=float, default=[1.0, 2.5, 5.0, 10.0], help="budgets of ours (a list may be empty)"
    )
    parser.add_argument("--shipped-minutes", nargs="*", type=float, default=[10.0, 30.0], help="of litgpt_shipped")
    parser.add_argument("--tuned-minutes", nargs="*", type=float, default=[10.0], help="of litgpt_tuned")
    parser.add_argument("--llama2c-minutes", nargs="*", type=float, default=[10.0, 30.0], help="of adamw_llama2c")
    parser.add_argument("--search-minutes", type=float, default=1.0, help="of each run of the search")
    parser.add_argument("--batches", nargs="+", type=int, default=[2048, 4096, 8192, 16384], help="tokens a step tried")
    parser.add_argument("--rates", nargs="+", type=float, default=[5e-4, 1e-3, 2e-3, 4e-3], help="learning rates tried")
    parser.add_argument("--tokens", type=int, default=2_000_000, help="of the runs of equal tokens; 0: none of them")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3], help="of the runs of equal tokens")
    parser.add_argument("--validation-tokens", type=int, default=100_000, help="that every run is scored on")
    parser.add_argument("--micro-rows", type=int, help="rows of a pass in LitGPT; else what Lilliput trains with")
    parser.add_argument("--threads", type=int, help="else one for each physical core")
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16"), default="auto")
    parser.add_argument(
        "--litgpt-allocator", choices=("ours", "system"), default="ours", help="ours is faster; system is as it ships"
    )
    parser.add_argument("--litgpt-python", type=Path, default=PEERS_PYTHON, help="an interpreter that has litgpt")
    parser.add_argument("--folder", type=Path, default=Path("runs/time_to_loss"), help="where finished runs are kept")
    parser.add_argument("--svg", type=Path, help="draw bits per byte against time into this file")
    parser.add_argument("--json", action="store_true", help="print one JSON object; all other words on standard error")
    asked = parser.parse_args(arguments)
    minutes = [*asked.minutes, *asked.shipped_minutes, *asked.tuned_minutes, *asked.llama2c_minutes]
    positive = [*minutes, asked.search_minutes, *asked.batches, *asked.rates, asked.validation_tokens]
    if min(*positive, asked.micro_rows or 1, asked.threads or 1) <= 0 or min(asked.tokens, *asked.seeds) < 0:
        parser.error("minutes, batches, rates, tokens, rows and threads have to be above 0")
    return asked


def make_bench(asked: argparse.Namespace) -> Bench:
    """Return the common parts of all runs. Raises ConfigError for a shape that LitGPT's Llama cannot have."""
    threads = configure_threads(asked.threads)
    bench = Bench(
        folder=asked.folder,
        recipe=str(Path(asked.recipe).absolute()) if asked.recipe.endswith((".yaml", ".yml")) else asked.recipe,
        overrides=asked.overrides,
        data=[str(Path(path).absolute()) for path in asked.data],
        ours=asked.ours,
        threads=threads,
        precision=machine.choose_precision(asked.precision, torch.device("cpu"), threads).name,
        micro_rows=asked.micro_rows or 1,
        validation_tokens=asked.validation_tokens,
        litgpt_python=asked.litgpt_python.absolute(),
        litgpt_environment=same_allocator() if asked.litgpt_allocator == "ours" else {},
    )
    shape = bench.resolved.model
    if asked.micro_rows is None:
        bench = replace(bench, micro_rows=max(1, MICRO_TOKENS["cpu"] // shape.context_length))
    other = {key: value for key, plain in COMPARED.items() if (value := getattr(shape, key)) != plain}
    if other and any(arm.startswith("litgpt") for arm in asked.arms):
        raise ConfigError(f"LitGPT is not set up for these parts here: {other}", "leave it out: --arms ours")
    return bench


def by_clock(bench: Bench, asked: argparse.Namespace, absent: dict[str, str]) -> tuple[list[Outcome], dict[str, Any]]:
    """All runs of a budget in minutes, and what the search of litgpt_tuned found; absent arms go into `absent`."""
    runs, found = [], {}
    minutes = {
        "ours": asked.minutes,
        "litgpt_shipped": asked.shipped_minutes,
        "litgpt_tuned": asked.tuned_minutes,
        "adamw_llama2c": asked.llama2c_minutes,
    }
    for arm in asked.arms:
        try:
            settings = {"litgpt_shipped": (SHIPPED_BATCH, SHIPPED_RATE)}.get(arm, (None, None))
            if arm == "litgpt_tuned":
                tried = search(bench.run, 60 * asked.search_minutes, asked.batches, asked.rates)
                best = tried[0].task
                settings = best.batch_tokens, best.learning_rate
                found = told_search(tried, on_edge(best, asked.batches, asked.rates), asked.search_minutes)
            runs += [bench.run(Task(arm, 1, 60 * count, None, *settings)) for count in minutes[arm]]
        except Absent as reason:
            absent[arm] = str(reason)
            print_line(f"{arm} is absent: {reason}")
    return runs, found


def told_search(tried: Sequence[Outcome], edges: list[str], minutes: float) -> dict[str, Any]:
    """The search of litgpt_tuned, the best first."""
    return {
        "minutes_each": minutes,
        "on_edge": edges,
        "runs": [
            {
                "batch_tokens": run.task.batch_tokens,
                "learning_rate": run.task.learning_rate,
                "bits_per_byte": run.bits_per_byte,
                "steps": run.steps,
                "seconds": run.seconds,
            }
            for run in tried
        ],
    }


def by_tokens(bench: Bench, asked: argparse.Namespace, absent: dict[str, str], found: dict[str, Any]) -> list[Outcome]:
    """Every arm after the same number of tokens, for each seed."""
    settings: dict[str, tuple[int, float]] = {"litgpt_shipped": (SHIPPED_BATCH, SHIPPED_RATE)}
    if found:
        settings["litgpt_tuned"] = found["runs"][0]["batch_tokens"], found["runs"][0]["learning_rate"]
    return [
        bench.run(Task(arm, seed, None, asked.tokens, *settings.get(arm, (None, None))))
        for arm in asked.arms
        if arm not in absent and asked.tokens
        for seed in asked.seeds
    ]


def as_json(bench: Bench, runs: list[Outcome], found: dict[str, Any], same: list[Outcome], absent: dict) -> dict:
    """Return all measurements, and the facts behind them."""
    ours = [run for run in runs if run.task.arm == "ours"]
    peers = [run for run in runs if run.task.arm != "ours"]
    return {
        "runs": [
            {
                "arm": run.task.arm,
                "budget_seconds": run.task.seconds,
                "batch_tokens": run.task.batch_tokens,
                "learning_rate": run.task.learning_rate,
                "tokens": run.tokens,
                "steps": run.steps,
                "warmup_steps": run.warmup_steps,
                "seconds": run.seconds,
                "compile_seconds": run.compile_seconds,
                "bits_per_byte": run.bits_per_byte,
                "facts": run.facts,
            }
            for run in runs
        ],
        "time_goals": goals.time_goals(ours, peers) if ours else [],
        "bits_goals": goals.bits_goals(ours, peers) if ours else [],
        "equal_tokens": goals.equal_tokens(same),
        "search": found,
        "absent": absent,
        "model": bench.model.model_dump(mode="json"),
        "recipe": bench.recipe,
        "overrides": list(bench.overrides),
        "validation": {"targets": bench.validation.targets, "bytes": bench.validation.text_bytes},
        "machine": {
            "name": machine.device_name(torch.device("cpu")),
            "threads": bench.threads,
            "precision": bench.precision,
            "load_average": os.getloadavg()[0],
            "litgpt_environment": dict(bench.litgpt_environment),
        },
    }


def notes(figures: dict[str, Any]) -> list[str]:
    """Return the meaning of the figures."""
    said = [f"{arm}: {what}" for arm, what in ARMS.items() if any(run["arm"] == arm for run in figures["runs"])]
    if figures["search"]:
        search_, best = figures["search"], figures["search"]["runs"][0]
        said.append(
            f"the search tried {len(search_['runs'])} settings for {search_['minutes_each']:g} min each; best: "
            f"{best['batch_tokens']:,} tokens a step at {best['learning_rate']:g}, {best['bits_per_byte']:.4f} bits"
        )
        said += [f"on the edge of the search, so more may be in it: {edge}" for edge in search_["on_edge"]]
    validation = figures["validation"]
    return [
        *said,
        f"bits per byte of {validation['targets']:,} tokens ({validation['bytes']:,} bytes) of the validation split; "
        "LitGPT's compilation is not on its clock; its warm-up is 1,000 steps or a tenth of the run, what is less",
        *(f"{arm} is absent: {reason}" for arm, reason in figures["absent"].items()),
    ]


def main(arguments: list[str] | None = None) -> None:
    """Run the requested runs that are not kept yet, and print the figures."""
    asked = options(arguments)
    use_json(asked.json)
    bench = make_bench(asked)
    absent: dict[str, str] = {}
    runs, found = by_clock(bench, asked, absent)
    figures = as_json(bench, runs, found, by_tokens(bench, asked, absent, found), absent)
    if asked.svg and runs:
        print_line(f"picture: {write_svg(asked.svg, [goals.chart(figures)])}")
    if asked.json:
        emit(figures)
        return
    for table in goals.tables(figures):
        console.print(table)
    for note in notes(figures):
        print_line(note)


if __name__ == "__main__":
    with one_line_errors():
        main()
