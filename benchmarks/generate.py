"""Tokens/s of generation: Lilliput beside transformers.generate and llama.cpp, with the same weights and prompts.

Each contestant generates a fixed number of tokens greedily, with random weights of a named shape, at batch 1 and batch
32. Each contestant runs in a separate process, which is loaded once. The contestants take turns in rounds.

    python benchmarks/generate.py --tokenizer tokenizer.model        # a tokenizer of 32,000 ids, for llama.cpp's file
    python benchmarks/generate.py --batches 1 --new-tokens 100 --rounds 9 --json
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from rich import box
from rich.table import Table

from lilliput.base import machine
from lilliput.base.console import console, emit, number, print_line, use_json
from lilliput.base.errors import LilliputError
from lilliput.base.machine import can_compile
from lilliput.base.runtime.threads import configure_threads
from lilliput.cli.main import one_line_errors
from lilliput.data.tokenizer import Tokenizer
from lilliput.model.config import resolve
from lilliput.model.huggingface import to_huggingface
from lilliput.model.transformer import Model
from rounds import Absent, Arm, Turn, Worker, interleave, ratio

WORKERS = Path(__file__).resolve().parent / "workers"
PROMPT = 16
BATCHES = 4
OURS = {"ours": ("f32", True), "ours_int8": ("int8", True), "ours_eager": ("f32", False)}
PEERS = ("transformers", "llama_cpp_f32", "llama_cpp_q8_0")


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line, parsed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--size", default="llama2c_15m", help="a named model style that transformers knows")
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 32], help="texts generated side by side")
    parser.add_argument("--new-tokens", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, help="else one for each physical core")
    parser.add_argument("--tokenizer", type=Path, help="a tokenizer as large as the model's vocabulary, for llama.cpp")
    parser.add_argument("--arms", nargs="+", choices=(*OURS, *PEERS), default=[*OURS, *PEERS])
    parser.add_argument("--json", action="store_true", help="print one JSON object, all other output on standard error")
    asked = parser.parse_args(arguments)
    if min(asked.rounds, asked.new_tokens, *asked.batches) < 1:
        parser.error("--batches, --new-tokens and --rounds have to be above 0")
    return asked


def files(size: str, tokenizer: Path | None, folder: Path) -> tuple[dict[str, str], dict[str, str]]:
    """The random model in every form: paths by arm, and why an arm has none."""
    model = Model(resolve(size), seed=0).eval()
    to_huggingface(model, folder / "model", bos_token_id=1, eos_token_id=2, pad_token_id=0)
    paths = dict.fromkeys((*OURS, "transformers"), str(folder / "model"))
    absent = {} if can_compile(torch.device("cpu")) else {arm: "install g++" for arm, way in OURS.items() if way[1]}
    for kind in ("f32", "q8_0"):
        arm = f"llama_cpp_{kind}"
        try:
            paths[arm] = _gguf(model, tokenizer, kind, folder / f"{kind}.gguf")
        except (LilliputError, ImportError) as error:
            absent[arm] = " ".join(str(error).split())
    return paths, absent


def _gguf(model: Model, tokenizer: Path | None, kind: str, file: Path) -> str:
    if tokenizer is None:
        raise LilliputError(f"its file needs a tokenizer of {model.config.vocab_size} ids: --tokenizer FILE")
    from lilliput.formats.source import Source  # pyright: ignore[reportMissingImports]
    from lilliput.formats.transfer import write  # pyright: ignore[reportMissingImports]

    write(Source(model, Tokenizer.load(tokenizer), "benchmark"), "gguf", file, kind)
    return str(file)


def compare(asked: argparse.Namespace, rows: int, paths: dict[str, str], absent: dict[str, str], folder: Path) -> dict:
    """One batch size: tokens/s of each arm (median over rounds; null where absent), ratios, and the facts behind
    them."""
    vocabulary = resolve(asked.size).vocab_size
    np.save(folder / "batches.npy", np.random.default_rng(0).integers(3, vocabulary, (BATCHES, rows, PROMPT)))
    absent, first = dict(absent), {}
    with ExitStack() as stack:
        workers = []
        for name in asked.arms:
            if name in absent:
                continue
            weights, compile_ = OURS.get(name, ("f32", False))
            script = (
                "tell_ours.py" if name in OURS else "tell_llama_cpp.py" if "llama" in name else "tell_transformers.py"
            )
            install = "pip install -e '.[dev]'" if name in OURS else "pip install transformers xllamacpp gguf"
            job = {"model": paths[name], "weights": weights, "batches": str(folder / "batches.npy"), "device": "cpu"}
            job |= {"new_tokens": asked.new_tokens, "threads": asked.threads}
            try:
                worker = Worker(Arm(name, sys.executable, WORKERS / script, install, compile_), job)
            except Absent as reason:
                absent[name] = str(reason)
                continue
            stack.callback(worker.close)
            workers.append(worker)
            first[name] = worker.run(1)
            print_line(f"  {name}: first batch {first[name].seconds:.1f} s")
        if not workers:
            raise LilliputError("no contestant can run here", next(iter(absent.values()), None))
        turns = interleave(workers, asked.rounds, 1, lambda index, worker, turn: None)
        versions = {worker.arm.name: worker.versions for worker in workers}
    return as_json(turns, first, rows * asked.new_tokens) | {"absent": absent, "versions": versions}


def as_json(turns: dict[str, list[Turn]], first: dict[str, Turn], tokens: int) -> dict[str, Any]:
    """The figures of one batch size. A ratio is the median over rounds of the ratio within a round; `same_tokens`
    reports for each arm whether its first batch equals ours in fp32."""
    rates = {arm: [tokens / turn.seconds for turn in each] for arm, each in turns.items()}
    told = first["ours"].loss if "ours" in first else None
    return {
        **{arm: median(rates[arm]) if arm in rates else None for arm in (*OURS, *PEERS)},
        "ratios": {
            f"{ours}/{peer}": ratio(turns[ours], turns[peer])
            for ours in OURS
            for peer in PEERS
            if ours in turns and peer in turns
        },
        "rounds": rates,
        "same_tokens": {arm: turn.loss == told for arm, turn in first.items()},
        "first_batch_seconds": {arm: turn.seconds for arm, turn in first.items()},
    }


def table(title: str, figures: dict[str, Any]) -> Table:
    """One batch size as a table for people."""
    made = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    made.add_column("", no_wrap=True)
    for heading in ("tokens/s", "rounds", *(f"{name} /" for name in OURS), "tokens"):
        made.add_column(heading, justify="right")
    for arm, rates in figures["rounds"].items():
        ratios = [figures["ratios"].get(f"{ours}/{arm}") for ours in OURS]
        made.add_row(
            arm,
            f"{figures[arm]:,.0f}",
            f"{min(rates):,.0f}-{max(rates):,.0f}",
            *("" if value is None else f"{value:.2f}" for value in ratios),
            "same" if figures["same_tokens"][arm] else "other",
        )
    for arm in figures["absent"]:
        made.add_row(arm, "absent")
    return made


def main(arguments: list[str] | None = None) -> None:
    """Measure the requested arms, and print the figures."""
    asked = options(arguments)
    use_json(asked.json)
    asked.threads = configure_threads(asked.threads)
    facts = {"name": machine.cpu_name(), "threads": asked.threads, "load_average": os.getloadavg()[0]}
    print_line(f"{facts['name']}, {asked.threads} threads, load {facts['load_average']:.1f}")
    results = {}
    with tempfile.TemporaryDirectory() as name:
        paths, absent = files(asked.size, asked.tokenizer, Path(name))
        for rows in asked.batches:
            print_line(f"batch {rows}: {asked.new_tokens} tokens each after {PROMPT}; compiling may take a minute")
            results[str(rows)] = figures = compare(asked, rows, paths, absent, Path(name))
            if not asked.json:
                console.print(table(f"{asked.size}, batch {rows}, {number(asked.rounds)} rounds", figures))
                for arm, reason in figures["absent"].items():
                    print_line(f"{arm} is absent: {reason}")
    if asked.json:
        emit({"size": asked.size, "new_tokens": asked.new_tokens, "batches": results, "machine": facts})


if __name__ == "__main__":
    with one_line_errors():
        main()
