"""Time and memory of a step of SFT, DPO and GRPO, beside TRL on the same weights and the same tokens.

Each contestant runs in a separate process, which is loaded once. The contestants take turns in rounds. Processor
seconds are compared, because they count no other work of the machine; wall seconds stand beside them.

    python benchmarks/finetune.py --threads 1
    python benchmarks/finetune.py --stages grpo --precisions fp32 --rounds 9 --json
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import islice
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
from lilliput.base.runtime.allocator import GLIBC_KEEPS, better_environment
from lilliput.base.runtime.threads import configure_threads, counted
from lilliput.cli.main import one_line_errors
from lilliput.data.config import TokenizerConfig
from lilliput.data.tokenizer import Tokenizer
from lilliput.model.config import resolve
from lilliput.model.huggingface import to_huggingface
from lilliput.model.transformer import Model
from lilliput.storybook import story
from rounds import Absent, Arm, Turn, Worker, interleave

WORKERS = Path(__file__).resolve().parent / "workers"
STAGES = ("sft", "dpo", "grpo")
BATCHES = 4
ROWS = {"sft": 16, "dpo": 16, "grpo": 8}
STORIES = 3000
"""Stories that the tokenizer learns from and that rows are cut from."""
ARMS: dict[str, dict[str, Any]] = {
    "ours": {},
    "ours_compiled": {"compile": True},
    "trl": {},
    "trl_our_allocator": {"allocator": True},
    "trl_checkpointing": {"checkpointing": True},
    "ours_reference_each_step": {"reference": "each_step"},
    "trl_reference_each_step": {"reference": "each_step"},
}
"""ours: without torch.compile, as a run of less than five minutes; trl: TRL's defaults without gradient checkpointing.
For DPO both have computed the reference's log-probabilities once, before the clock starts. The other arms change one
thing. TRL's own defaults are `trl_checkpointing`, and for DPO also `trl_reference_each_step`. A step of
`ours_reference_each_step` is a step on rows that Lilliput reads for the first time."""


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line, parsed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--size", default="story_7m", help="a named style; as a Llama, tied and without QK-norm")
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=list(STAGES))
    parser.add_argument("--precisions", nargs="+", choices=("fp32", "bf16"), default=["fp32", "bf16"])
    parser.add_argument("--arms", nargs="+", choices=tuple(ARMS), default=list(ARMS))
    parser.add_argument("--length", type=int, default=128, help="tokens of a row of SFT and DPO")
    parser.add_argument("--prompt", type=int, default=32, help="tokens of a row, or of GRPO, that are the prompt")
    parser.add_argument("--new-tokens", type=int, default=64, help="most tokens of a completion of GRPO")
    parser.add_argument("--each", type=int, default=8, help="completions of each prompt of GRPO")
    parser.add_argument("--rows", type=int, help="rows, pairs or prompts of a step; else 16, 16 and 8")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=2, help="steps of a turn")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print one JSON object, all other output on standard error")
    asked = parser.parse_args(arguments)
    if min(asked.rounds, asked.steps, asked.new_tokens, asked.each - 1, asked.rows or 1) < 1:
        parser.error("--rounds, --steps, --new-tokens and --rows have to be above 0, and --each above 1")
    if not 0 < asked.prompt < asked.length:
        parser.error("--prompt has to be above 0 and below --length")
    return asked


# ---------------------------------------------------------------------------- the same weights and tokens for all


def texts() -> list[str]:
    """Stories of the built-in world."""
    return [story(0, place).text for place in range(STORIES)]


def write_model(size: str, tokenizer: Tokenizer, folder: Path) -> None:
    """A random Llama of a named size with the tokenizer, as a Hugging Face folder."""
    shape = resolve(size, qk_norm=False, init="normal", tied_embeddings=True)
    if tokenizer.vocab_size > shape.vocab_size:
        raise LilliputError(f"the tokenizer has {tokenizer.vocab_size} ids, and {size} {shape.vocab_size}")
    to_huggingface(Model(shape, seed=0), folder, **tokenizer.marks)
    tokenizer.save(folder, shape.context_length)


def rows_of(stage: str, asked: argparse.Namespace, tokenizer: Tokenizer, stories: Sequence[str]) -> np.ndarray:
    """The ids of all batches of a stage (see TeachingJob)."""
    rows = asked.rows or ROWS[stage]
    if stage == "grpo":
        found = np.array(list(islice(_prompts(tokenizer, stories, asked.prompt), BATCHES * rows)))
        return found.reshape(BATCHES, rows, asked.prompt)
    joined = np.array([token for text in stories for token in tokenizer.encode(text)], np.int64)
    if stage == "sft":
        return joined[: BATCHES * rows * asked.length].reshape(BATCHES, rows, asked.length)
    pairs = joined[: BATCHES * rows * 2 * asked.length].reshape(BATCHES, rows, 2, asked.length).copy()
    pairs[:, :, 1, : asked.prompt] = pairs[:, :, 0, : asked.prompt]
    return pairs


def _prompts(tokenizer: Tokenizer, stories: Sequence[str], length: int) -> Iterator[list[int]]:
    """Openings of so many tokens that are the same tokens again when their text is encoded."""
    for whole in stories:
        ids = [*tokenizer.beginning, *tokenizer.encode(whole)][:length]
        text = tokenizer.decode(ids)
        if len(ids) == length and [*tokenizer.beginning, *tokenizer.encode(text)] == ids:
            yield ids


# ---------------------------------------------------------------------------- measuring


def arms(names: Sequence[str], stage: str) -> tuple[list[Arm], dict[str, str]]:
    """The arms that can run here, and why the others cannot."""
    ours = {**(better_environment(os.environ) or GLIBC_KEEPS)}
    kept = {key: value for key, value in ours.items() if os.environ.get(key) != value}
    found, absent = [], {}
    for name in names:
        way = ARMS[name]
        if name == "ours_compiled" and not can_compile(torch.device("cpu")):
            absent[name] = "install g++"
            continue
        if "reference" in way and stage != "dpo":
            continue
        mine = name.startswith("ours")
        script = WORKERS / ("teach_ours.py" if mine else "teach_trl.py")
        environment = kept if mine or way.get("allocator") else {}
        path = os.pathsep.join([str(WORKERS), *filter(None, [os.environ.get("PYTHONPATH")])])
        install = "pip install -e '.[dev]'" if mine else "pip install trl"
        environment = {**environment, "PYTHONPATH": path, "TQDM_DISABLE": "1"}
        found.append(Arm(name, sys.executable, script, install, bool(way.get("compile")), environment))
    return found, absent


def compare(asked: argparse.Namespace, stage: str, precision: str, model: Path, batches: Path) -> dict[str, Any]:
    """One stage in one precision: the figures of all arms."""
    found, absent = arms(asked.arms, stage)
    first: dict[str, Turn] = {}
    with ExitStack() as stack:
        workers: list[Worker] = []
        for arm in found:
            way = ARMS[arm.name]
            job = {
                "stage": stage,
                "model": str(model),
                "batches": str(batches),
                "prompt": asked.prompt,
                "new_tokens": asked.new_tokens,
                "each": asked.each,
                "precision": precision,
                "threads": asked.threads,
                "learning_rate": 1e-4,
                "clip": 1.0,
                "reference": way.get("reference", "once"),
                "checkpointing": way.get("checkpointing", False),
            }
            try:
                worker = Worker(arm, job)
            except Absent as reason:
                absent[arm.name] = str(reason)
                continue
            stack.callback(worker.close)
            workers.append(worker)
            first[arm.name] = worker.run(1)
            worker.run(BATCHES - 1)  # each row is seen once before the clock starts: references are computed once
            print_line(f"  {arm.name}: first step {first[arm.name].seconds:.1f} s, loss {first[arm.name].loss:.4f}")
        if not workers:
            raise LilliputError("no contestant can run here", next(iter(absent.values()), None))
        turns = interleave(workers, asked.rounds, asked.steps, lambda index, worker, turn: None)
        versions = {worker.arm.name: worker.versions for worker in workers}
        parameters = {worker.arm.name: worker.parameters for worker in workers}
    if len(set(parameters.values())) > 1:
        raise LilliputError(f"the contestants differ in size: {parameters}")
    figures = as_json(turns, first, asked.steps)
    if stage == "grpo":
        tokens = (asked.rows or ROWS[stage]) * asked.each * asked.new_tokens
        add_rollouts(figures, turns, asked.steps, tokens)
    return figures | {"parameters": next(iter(parameters.values())), "absent": absent, "versions": versions}


def as_json(turns: dict[str, list[Turn]], first: dict[str, Turn], steps: int) -> dict[str, Any]:
    """Figures a step: medians over the rounds. A ratio is the median over rounds of the ratio within a round."""

    def each(kind: str) -> dict[str, float]:
        return {arm: median(getattr(turn, kind) / steps for turn in found) for arm, found in turns.items()}

    peers = [arm for arm in turns if arm.startswith("trl")]
    return {
        "cpu_seconds": each("cpu_seconds"),
        "wall_seconds": each("seconds"),
        "peak_bytes": {arm: max(turn.peak_bytes for turn in found) for arm, found in turns.items()},
        "ratios": {
            f"{ours}/{peer}": median(
                theirs.cpu_seconds / mine.cpu_seconds for mine, theirs in zip(turns[ours], turns[peer], strict=True)
            )
            for ours in turns
            for peer in peers
            if ours not in peers
        },
        "first_loss": {arm: turn.loss for arm, turn in first.items()},
        "rounds": {arm: [turn.cpu_seconds / steps for turn in found] for arm, found in turns.items()},
    }


def add_rollouts(figures: dict[str, Any], turns: dict[str, list[Turn]], steps: int, tokens: int) -> None:
    """Add the shares of a step of GRPO that are generation, reward and training, and the generated tokens of a
    processor second. A completion that ends early is counted as whole; the weights are random, so few do."""
    figures["parts"], figures["rollout_tokens_per_cpu_second"] = {}, {}
    for arm, found in turns.items():
        parts = {name: median(turn.parts[name] / steps for turn in found) for name in ("generation", "reward")}
        parts["training"] = figures["cpu_seconds"][arm] - sum(parts.values())
        figures["parts"][arm] = parts
        figures["rollout_tokens_per_cpu_second"][arm] = tokens / parts["generation"]


# ---------------------------------------------------------------------------- the output


def table(title: str, figures: dict[str, Any]) -> Table:
    """One stage as a table for people."""
    made = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    made.add_column("", no_wrap=True)
    parts = figures.get("parts", {})
    headings = ["CPU s", "wall s", "times ours", "peak MB", "first loss"]
    for heading in headings + (["generation", "reward", "training", "tokens/s"] if parts else []):
        made.add_column(heading, justify="right")
    for arm, seconds in figures["cpu_seconds"].items():
        times = figures["ratios"].get(f"ours/{arm}")
        row = [f"{seconds:.3f}", f"{figures['wall_seconds'][arm]:.3f}", "" if times is None else f"{times:.2f}"]
        row += [f"{figures['peak_bytes'][arm] / 1e6:,.0f}", f"{figures['first_loss'][arm]:.4f}"]
        if arm in parts:
            row += [f"{parts[arm][name] / seconds:.0%}" for name in ("generation", "reward", "training")]
            row.append(f"{figures['rollout_tokens_per_cpu_second'][arm]:,.0f}")
        made.add_row(arm, *row)
    for arm in figures["absent"]:
        made.add_row(arm, "absent")
    return made


def best(stage: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The fastest way of each side over all precisions: which, its seconds, and how many times as fast ours is."""
    found = {
        side: min(
            (seconds, f"{arm} {precision}")
            for precision, figures in stage.items()
            for arm, seconds in figures["cpu_seconds"].items()
            if arm.startswith(side)
        )
        for side in ("ours", "trl")
        if any(arm.startswith(side) for figures in stage.values() for arm in figures["cpu_seconds"])
    }
    times = found["trl"][0] / found["ours"][0] if len(found) == 2 else None
    return {**{side: {"arm": arm, "cpu_seconds": seconds} for side, (seconds, arm) in found.items()}, "times": times}


def main(arguments: list[str] | None = None) -> None:
    """Measure the requested stages, and print the figures."""
    asked = options(arguments)
    use_json(asked.json)
    asked.threads = configure_threads(asked.threads)
    facts: dict[str, Any] = {"name": machine.cpu_name(), "threads": asked.threads, "torch": torch.__version__}
    for precision in ("fp32", "bf16"):
        kind = torch.float32 if precision == "fp32" else torch.bfloat16
        facts[f"matmul_gflops_{precision}"] = machine.matmul_peak(torch.device("cpu"), kind) / 1e9
    facts["load_average"] = os.getloadavg()[0]
    print_line(
        f"{facts['name']}, {counted(asked.threads)}, torch {facts['torch']}; "
        f"products {facts['matmul_gflops_fp32']:,.0f} GFLOP/s in fp32, {facts['matmul_gflops_bf16']:,.0f} in bf16; "
        f"load {facts['load_average']:.1f}"
    )
    results: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder, stories = Path(name), texts()
        tokenizer = Tokenizer.train(stories, TokenizerConfig(vocab_size=resolve(asked.size).vocab_size))
        write_model(asked.size, tokenizer, folder / "model")
        for stage in asked.stages:
            np.save(folder / f"{stage}.npy", rows_of(stage, asked, tokenizer, stories))
            results[stage] = {}
            for precision in asked.precisions:
                print_line(f"{stage}, {precision}")
                figures = compare(asked, stage, precision, folder / "model", folder / f"{stage}.npy")
                results[stage][precision] = figures
                if not asked.json:
                    console.print(table(f"{stage}, {precision}, {number(asked.rounds)} rounds", figures))
                    for arm, reason in figures["absent"].items():
                        print_line(f"{arm} is absent: {reason}")
            results[stage]["best"] = fastest = best(results[stage])
            if fastest["times"] is not None:
                print_line(
                    f"{stage}: the fastest way of each side is {fastest['ours']['arm']} and {fastest['trl']['arm']}, "
                    f"and ours is {fastest['times']:.2f} times as fast"
                )
    if asked.json:
        emit({"size": asked.size, "stages": results, "machine": facts})


if __name__ == "__main__":
    with one_line_errors():
        main()
