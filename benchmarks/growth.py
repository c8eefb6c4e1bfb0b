"""The growth of cost: tokens/s, memory and time of a training step, from 1M to 125M parameters and context 128 to
4,096.

Each shape is a process of its own that runs the trainer's step (workers/ours.py). Two lines are measured: sizes at one
context, and contexts at one size. The exponent is the slope of a least-squares line through the logarithms.

    python benchmarks/growth.py --svg docs/growth.svg
    python benchmarks/growth.py --sizes story_1m story_3m --contexts 128 256 --seconds 2 --json
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import tempfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from statistics import median
from typing import Any

import torch
from rich import box
from rich.table import Table

from comparison import Case, token_batches
from lilliput.base import machine
from lilliput.base.chart import Chart, Series
from lilliput.base.console import console, duration, emit, number, print_line, size, use_json
from lilliput.base.machine import can_compile
from lilliput.base.runtime.threads import configure_threads
from lilliput.cli.main import one_line_errors
from lilliput.model.config import resolve
from lilliput.model.counts import flops_per_token, parameters
from lilliput.training.settings import MICRO_TOKENS
from pictures import write_svg
from rounds import Arm, Worker
from train_step import HERE, our_environment

SIZES = (
    "story_1m",
    "story_2m",
    "story_3m",
    "story_5m",
    "story_10m",
    "story_15m",
    "story_30m",
    "llama2c_42m",
    "gpt2_124m",
)
CONTEXTS = (128, 256, 512, 1024, 2048, 4096)


def exponent(points: Sequence[tuple[float, float]]) -> float | None:
    """The slope of the least-squares line through (log x, log y): y grows like x to this power. None for one x."""
    logs = [(math.log(x), math.log(y)) for x, y in points]
    middle_x, middle_y = (sum(values) / len(logs) for values in zip(*logs, strict=True))
    spread = sum((x - middle_x) ** 2 for x, _ in logs)
    return sum((x - middle_x) * (y - middle_y) for x, y in logs) / spread if spread else None


def measure(case: Case, arm: Arm, seconds: float) -> dict[str, Any]:
    """One shape: two warm-up steps, then at least three steps and at least `seconds` of them, one at a time."""
    with tempfile.TemporaryDirectory() as folder:
        batches = Path(folder) / "batches.npy"
        token_batches(case.model.vocab_size, case.rows, case.context, batches)
        with closing(Worker(arm, case.job(batches))) as worker:
            worker.run(2)
            turns = [worker.run(1)]
            while len(turns) < 3 or sum(turn.seconds for turn in turns) < seconds:
                turns.append(worker.run(1))
    step = median(turn.seconds for turn in turns)
    return {
        "name": case.name,
        "parameters": parameters(case.model).total,
        "context": case.context,
        "rows": case.rows,
        "tokens_per_second": case.tokens / step,
        "step_seconds": step,
        "seconds_per_million_tokens": 1e6 * step / case.tokens,
        "peak_bytes": turns[-1].peak_bytes,
        "flops_per_second": flops_per_token(case.model, case.context).training * case.tokens / step,
        "steps": len(turns),
    }


def case(style: str, context: int, batch_tokens: int, device: str, precision: str, threads: int) -> Case:
    """A step of about `batch_tokens` tokens, in the passes that Lilliput trains with."""
    model = resolve(style, context_length=context)
    rows = max(1, batch_tokens // context)
    micro = max(1, MICRO_TOKENS[torch.device(device).type] // context)
    return Case(style, model, context, rows, min(rows, micro), precision, device, threads)


def table(title: str, rows: Sequence[dict[str, Any]]) -> Table:
    """One line of measurements for people."""
    made = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    made.add_column("", no_wrap=True)
    for heading in ("parameters", "context", "tokens/s", "1M tokens", "memory", "GFLOP/s"):
        made.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        made.add_row(
            row["name"],
            number(row["parameters"]),
            f"{row['context']:,}",
            f"{row['tokens_per_second']:,.0f}",
            duration(row["seconds_per_million_tokens"]),
            size(row["peak_bytes"]),
            f"{row['flops_per_second'] / 1e9:,.0f}",
        )
    return made


def charts(figures: dict[str, Any]) -> list[Chart]:
    """Seconds a million tokens, and memory, against parameters and against context; every axis is logarithmic."""
    made = []
    for line, x, label in (("sizes", "parameters", "parameters"), ("contexts", "context", "context, tokens")):
        for y, what, unit in (
            ("seconds_per_million_tokens", "Seconds for a million training tokens", 1.0),
            ("peak_bytes", "Peak memory in MB", 1e6),
        ):
            points = [(row[x], row[y] / unit) for row in figures[line] if row[y]]
            power = figures["exponents"][line][y]
            title = what if power is None else f"{what}: grows like {x} to the power {power:.2f}"
            made.append(Chart(title, [Series(line, points, dots=True)], x_label=label, log_x=True, log_y=True))
    return made


def exponents(rows: Sequence[dict[str, Any]], x: str) -> dict[str, float | None]:
    """The measured exponents of time and memory in `x`; None where they cannot be known."""
    found = {}
    for y in ("seconds_per_million_tokens", "peak_bytes"):
        points = [(row[x], row[y]) for row in rows if row[y]]
        found[y] = exponent(points) if points else None
    return found


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line, parsed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--sizes", nargs="+", default=list(SIZES), help="named model styles")
    parser.add_argument("--contexts", nargs="+", type=int, default=list(CONTEXTS))
    parser.add_argument("--size", default="story_5m", help="the style whose context is varied")
    parser.add_argument("--context", type=int, default=256, help="the context at which sizes are compared")
    parser.add_argument("--batch-tokens", type=int, default=4096, help="of every step")
    parser.add_argument("--seconds", type=float, default=20.0, help="of measuring for each shape; at least 3 steps")
    parser.add_argument("--eager", action="store_true", help="do not compile")
    parser.add_argument("--threads", type=int, help="else one for each physical core")
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16"), default="auto")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:N")
    parser.add_argument("--svg", type=Path, help="draw the figures into this file")
    parser.add_argument("--json", action="store_true", help="print one JSON object; all other words on standard error")
    asked = parser.parse_args(arguments)
    if min(*asked.contexts, asked.context, asked.batch_tokens, asked.seconds) <= 0:
        parser.error("contexts, tokens and seconds have to be above 0")
    return asked


def main(arguments: list[str] | None = None) -> None:
    """Measure both lines and print them."""
    asked = options(arguments)
    use_json(asked.json)
    device = machine.choose_device(asked.device)
    threads = configure_threads(asked.threads)
    precision = machine.choose_precision(asked.precision, device, threads).name
    compiled = not asked.eager and can_compile(device)
    worker = HERE / "workers" / "ours.py"
    arm = Arm("ours", sys.executable, worker, "pip install -e .", compile=compiled, environment=our_environment())
    wanted = {
        "sizes": [(style, asked.context) for style in asked.sizes],
        "contexts": [(asked.size, context) for context in asked.contexts],
    }
    figures: dict[str, Any] = {}
    for line, shapes in wanted.items():
        figures[line] = []
        for style, context in shapes:
            row = measure(case(style, context, asked.batch_tokens, str(device), precision, threads), arm, asked.seconds)
            print_line(f"  {style}, context {context:,}: {row['tokens_per_second']:,.0f} tokens/s")
            figures[line].append(row)
    figures["exponents"] = {
        "sizes": exponents(figures["sizes"], "parameters"),
        "contexts": exponents(figures["contexts"], "context"),
    }
    figures["machine"] = {
        "name": machine.device_name(device),
        "threads": threads,
        "precision": precision,
        "compiled": compiled,
        "load_average": os.getloadavg()[0],
    }
    if asked.svg:
        print_line(f"picture: {write_svg(asked.svg, charts(figures))}")
    if asked.json:
        emit(figures)
        return
    for line, x in (("sizes", "parameters"), ("contexts", "context")):
        powers = {y: "?" if p is None else f"{p:.2f}" for y, p in figures["exponents"][line].items()}
        time_power, memory_power = powers["seconds_per_million_tokens"], powers["peak_bytes"]
        title = f"{line}: time grows like {x} to the power {time_power}, memory to the power {memory_power}"
        console.print(table(title, figures[line]))


if __name__ == "__main__":
    with one_line_errors():
        main()
