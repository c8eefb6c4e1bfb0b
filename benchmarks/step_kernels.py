"""The time of each part of a training step on a CPU: products, attention, the head's softmax, the optimizer and the
rest.

The trainer's own step, in a process with the allocator and the matrix products of `lilliput train`, under PyTorch's
profiler.

    python benchmarks/step_kernels.py --size llama_6L_6H_288D --rows 16
    python benchmarks/step_kernels.py --size story_1m --rows 8 --optimizer muon --eager --json
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from rich import box
from rich.table import Table

from comparison import Case, token_batches
from lilliput.base import machine
from lilliput.base.console import console, emit, number, print_line, use_json
from lilliput.base.errors import LilliputError
from lilliput.base.machine import can_compile
from lilliput.base.runtime.threads import configure_threads
from lilliput.cli.main import one_line_errors
from lilliput.model.config import resolve
from rounds import alike
from train_step import HERE, our_environment


def measure(case: Case, compiled: bool, optimizer: str, steps: int) -> dict[str, Any]:
    """The worker's figures: seconds of a step, of one under the profiler, and by group (workers/profiled.py)."""
    with tempfile.TemporaryDirectory() as folder:
        batches = Path(folder) / "batches.npy"
        token_batches(case.model.vocab_size, case.rows, case.context, batches)
        order = {"job": case.job(batches) | {"compile": compiled}, "optimizer": optimizer, "steps": steps}
        done = subprocess.run(
            [sys.executable, str(HERE / "workers" / "profiled.py")],
            input=json.dumps(order) + "\n",
            capture_output=True,
            text=True,
            env={**alike(), "OMP_NUM_THREADS": str(case.threads), **our_environment()},
        )
    if done.returncode:
        raise LilliputError(
            f"the worker ended with exit code {done.returncode}; its last words:\n{done.stderr[-2000:]}"
        )
    return json.loads(done.stdout)


def table(title: str, figures: dict[str, Any]) -> Table:
    """Milliseconds and share of a profiled step by group, largest first."""
    made = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    made.add_column("", no_wrap=True)
    made.add_column("ms", justify="right", no_wrap=True)
    made.add_column("share", justify="right", no_wrap=True)
    for name, seconds in sorted(figures["groups"].items(), key=lambda row: -row[1]):
        made.add_row(name, f"{1e3 * seconds:.1f}", f"{seconds / figures['profiled_seconds']:.0%}")
    return made


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line, parsed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--size", default="story_1m", help="a named model style (`lilliput model list`)")
    parser.add_argument("--context", type=int, default=256, help="tokens in a row")
    parser.add_argument("--rows", type=int, default=8, help="rows of a step, in one pass")
    parser.add_argument("--optimizer", choices=("adamw", "muon"), default="adamw")
    parser.add_argument("--eager", action="store_true", help="do not compile")
    parser.add_argument("--steps", type=int, default=10, help="under the profiler, and as many without it")
    parser.add_argument("--threads", type=int, help="else one for each physical core")
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16"), default="auto")
    parser.add_argument("--json", action="store_true", help="print one JSON object; all other words on standard error")
    asked = parser.parse_args(arguments)
    if min(asked.context, asked.rows, asked.steps) < 1:
        parser.error("--context, --rows and --steps have to be above 0")
    return asked


def main(arguments: list[str] | None = None) -> None:
    """Measure and print."""
    asked = options(arguments)
    use_json(asked.json)
    device = torch.device("cpu")
    threads = configure_threads(asked.threads)
    precision = machine.choose_precision(asked.precision, device, threads).name
    compiled = not asked.eager and can_compile(device)
    model = resolve(asked.size, context_length=asked.context)
    case = Case(asked.size, model, asked.context, asked.rows, asked.rows, precision, str(device), threads)
    figures = measure(case, compiled, asked.optimizer, asked.steps)
    figures |= {"precision": precision, "threads": threads, "compiled": compiled, "tokens": case.tokens}
    if asked.json:
        emit(figures)
        return
    how = f"{precision}, {'compiled' if compiled else 'eager'}, {threads} threads"
    title = (
        f"{case.name}: {number(figures['parameters'])} parameters, {case.rows} x {case.context} tokens a step, {how}"
    )
    console.print(table(title, figures))
    print_line(
        f"{1e3 * figures['step_seconds']:.1f} ms a step, {1e3 * figures['profiled_seconds']:.1f} under the profiler, "
        "which the table shows; between operations: Python, and what the profiler itself takes"
    )


if __name__ == "__main__":
    with one_line_errors():
        main()
