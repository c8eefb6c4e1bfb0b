"""The dial against its neighbours: for each time, the named sizes and smaller ones train for that long.

A size's tokens for a time are its own speed times the time, so that runs may share the machine. The speed is measured
in CPU-seconds of one thread over a short run, and the table marks the size that the dial chooses.

    python benchmarks/dial.py --times 20 60 150 --workers 2
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from rich.table import Table

from lilliput.base.console import console, emit, number, use_json
from lilliput.base.machine import choose_precision
from lilliput.cli.main import one_line_errors
from lilliput.planning.choice import BATCHES, Needs, choose
from lilliput.planning.speed import measure

SHAPES = {
    "64x2": {"d_model": 64, "n_layers": 2},
    "96x3": {"d_model": 96, "n_layers": 3},
    "story_1m": {"d_model": 128, "n_layers": 3},
    "story_1.8m": {"d_model": 128, "n_layers": 4},
    "story_2m": {"d_model": 192, "n_layers": 3},
    "story_3m": {"d_model": 192, "n_layers": 5},
    "story_5m": {"d_model": 256, "n_layers": 4},
    "story_7m": {"d_model": 256, "n_layers": 6},
}
SPEEDS = Path("dial_speeds.json")
SPAN = (20, 120)
"""Steps of two short runs whose difference is a size's speed, without the start and the end. A run before them builds
what a first run builds (C++ kernels, tokens)."""


def train(name: str, shape: str, *overrides: str) -> dict[str, Any]:
    """The summary of the story recipe's run with that shape on one thread; a finished run is not trained again."""
    summary = Path("runs") / name / "summary.json"
    if not summary.exists():
        sizes = (f"model.{key}={value}" for key, value in SHAPES[shape].items())
        fixed = ("train", "story", f"name={name}", "train.threads=1", "train.compile=false")
        run = [sys.executable, "-m", "lilliput", *fixed, *sizes, *overrides]
        subprocess.run(run, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return json.loads(summary.read_text())


def step_seconds(shape: str, batch: int, speeds: dict[str, float]) -> float:
    """CPU-seconds of one training step of `batch` tokens, kept in `speeds` by shape and batch."""
    key = f"{shape} {batch}"
    if key not in speeds:
        spent = []
        quiet = ("evaluate.final_heroes=0", "evaluate.heroes=0", "evaluate.samples=0", "evaluate.tokens=512",
                 "evaluate.final_tokens=512", f"train.batch_tokens={batch}")  # fmt: skip
        train(f"dial_pilot_{shape}_{batch}_first", shape, "train.steps=2", *quiet)
        for steps in SPAN:
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            train(f"dial_pilot_{shape}_{batch}_{steps}", shape, f"train.steps={steps}", *quiet)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        speeds[key] = (spent[1] - spent[0]) / (SPAN[1] - SPAN[0])
        SPEEDS.write_text(json.dumps(speeds, indent=1))
    return speeds[key]


def length(shape: str, seconds: float, speeds: dict[str, float]) -> tuple[int, int]:
    """Steps and tokens a step of that shape in that time, with the dial's own rule for tokens a step."""
    batch = 2048
    for _ in range(3):  # the batch follows from the tokens, and the speed from the batch
        tokens = seconds / step_seconds(shape, batch, speeds) * batch
        batch = next(size for most, size in BATCHES if tokens <= most)
    return int(seconds / step_seconds(shape, batch, speeds)), batch


def chosen(seconds: float) -> str:
    """The shape that the dial chooses for that time on one thread of this machine."""
    torch.set_num_threads(1)
    speed, _ = measure(bf16=choose_precision("auto", torch.device("cpu"), 1).name == "bf16")
    return choose(Needs("stories", (), None, speed, "one thread", seconds)).values["model"]["style"]


def main(arguments: list[str] | None = None) -> None:
    """Train every size for every time, and print bits per byte and heroes kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=float, nargs="+", default=[20, 60, 150], help="CPU-seconds of one thread")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--shapes", nargs="+", default=list(SHAPES), choices=list(SHAPES))
    parser.add_argument("--workers", type=int, default=1, help="runs at once")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    asked = parser.parse_args(arguments)
    use_json(asked.json)
    speeds: dict[str, float] = json.loads(SPEEDS.read_text()) if SPEEDS.exists() else {}
    work = [(seconds, shape, seed, *length(shape, seconds, speeds))
            for seconds in asked.times for shape in asked.shapes for seed in asked.seeds]  # fmt: skip

    def one(job: tuple[float, str, int, int, int]) -> dict[str, Any]:
        seconds, shape, seed, steps, batch = job
        stories = max(2000, int(steps * batch / 190))
        found = train(f"dial_{seconds:g}_{shape}_s{seed}", shape, f"seed={seed}", f"train.steps={steps}",
                      f"train.batch_tokens={batch}", f"data.sources=[{{kind: story, stories: {stories}}}]")  # fmt: skip
        return {"seconds": seconds, "shape": shape, "seed": seed, "steps": steps, "batch_tokens": batch,
                "parameters": found["parameters"], "tokens": steps * batch, "hero_kept": found["val_hero_kept"],
                "bits_per_byte": found["val_bits_per_byte"]}  # fmt: skip

    with ThreadPoolExecutor(asked.workers) as pool:
        found = list(pool.map(one, work))
    picks = {seconds: chosen(seconds) for seconds in asked.times}
    if asked.json:
        emit({"runs": found, "dial": picks})
        return
    shown = Table(title="* is what the dial chooses")
    for name in ("seconds", "shape", "parameters", "steps x tokens", "bits per byte", "hero kept"):
        shown.add_column(name)
    for row in found:
        mark = " *" if row["shape"] == picks[row["seconds"]] else ""
        shown.add_row(f"{row['seconds']:g}", row["shape"] + mark, number(row["parameters"]),
                      f"{row['steps']:,} x {row['batch_tokens']:,}", f"{row['bits_per_byte']:.4f}",
                      f"{row['hero_kept']:.0%}")  # fmt: skip
    console.print(shown)


if __name__ == "__main__":
    with one_line_errors():
        main()
