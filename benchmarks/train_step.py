"""Tokens/s and matmul utilisation of one training step: Lilliput beside transformers and LitGPT on the same batches.

A step is forward, loss, backward, clipping and AdamW. Every contestant trains the same shape on the same token ids with
the same threads, precision and settings, each in a process and an environment of its own; they take turns in rounds.

    python benchmarks/train_step.py                  # or `make bench`, which installs the peers first
    python benchmarks/train_step.py --sizes story_7m --contexts 256 1024 --rounds 9 --json
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from rich.table import Table

from lilliput.base import machine
from lilliput.base.console import console, emit, number, say, use_json
from lilliput.base.errors import ConfigError, LilliputError
from lilliput.model.config import ModelConfig
from lilliput.model.counts import flops_per_token
from lilliput.model.styles import resolve
from lilliput.train.compiled import can_compile
from lilliput.train.config import TrainConfig
from lilliput.train.settings import MICRO_TOKENS
from rounds import Absent, Arm, Turn, Worker, interleave, ratio

HERE = Path(__file__).resolve().parent
PEERS_PYTHON = HERE.parent / ".venv-bench" / "bin" / "python"
SIZES = ("llama_6L_6H_288D", "story_7m")
BATCH_TOKENS = {"llama_6L_6H_288D": 4096, "story_7m": 8192}
COMPARED = {
    "norm": "rms",
    "mlp": "swiglu",
    "position": "rotary",
    "residual": "sequential",
    "bias": False,
    "window": None,
}
"""The parts that all contestants build alike: Llama's, with or without QK-norm (Qwen3)."""
BATCHES = 8
OURS = ("ours", "ours_compiled")
PEERS = ("transformers", "litgpt")
LOSS_TOLERANCE = 1.0
"""Nats a token between an untrained model's loss and ln V: libraries differ in first weights only."""


@dataclass(frozen=True)
class Case:
    """One comparison: a shape, a batch, and where and how it runs."""

    name: str
    model: ModelConfig
    context: int
    rows: int
    micro_rows: int
    precision: str
    device: str
    threads: int

    @property
    def tokens(self) -> int:
        """Tokens of one step."""
        return self.rows * self.context

    def job(self, batches: Path) -> dict[str, Any]:
        """What a worker is told (workers/protocol.py); the optimiser's settings are Lilliput's defaults."""
        train = TrainConfig(steps=1)
        adamw = train.optimizer
        return {
            "model": self.model.model_dump(mode="json"),
            "batches": str(batches),
            "context": self.context,
            "micro_rows": self.micro_rows,
            "precision": self.precision,
            "device": self.device,
            "threads": self.threads,
            "adamw": {
                "lr": adamw.learning_rate,
                "betas": adamw.betas,
                "eps": adamw.eps,
                "weight_decay": adamw.weight_decay,
            },
            "clip": train.clip,
        }


@dataclass(frozen=True)
class Outcome:
    """What a comparison measured, by arm; `absent` says why an arm is not in the others. `first` is the first step."""

    case: Case
    parameters: int
    steps: int
    turns: dict[str, list[Turn]]
    first: dict[str, Turn]
    versions: dict[str, dict[str, str]]
    absent: dict[str, str]

    def rates(self, arm: str) -> list[float]:
        """Tokens/s in each round."""
        return [self.steps * self.case.tokens / turn.seconds for turn in self.turns[arm]]

    def rate(self, arm: str) -> float | None:
        """Median tokens/s, or None for an absent arm."""
        return median(self.rates(arm)) if arm in self.turns else None

    def ratios(self) -> dict[str, float]:
        """How many times as fast as each peer each of our ways is: {'ours/transformers': ...}."""
        return {
            f"{ours}/{peer}": ratio(self.turns[ours], self.turns[peer])
            for ours in OURS
            for peer in PEERS
            if ours in self.turns and peer in self.turns
        }


# ---------------------------------------------------------------------------- measuring


def arms(device: str, litgpt_python: Path) -> tuple[list[Arm], dict[str, str]]:
    """The contestants, and those that cannot run for want of a compiler."""
    workers = HERE / "workers"
    here = "install Lilliput into this environment: pip install -e '.[hf]'"
    every = [
        Arm("ours", sys.executable, workers / "ours.py", here, compile=False),
        Arm("ours_compiled", sys.executable, workers / "ours.py", here),
        Arm("transformers", sys.executable, workers / "transformers_.py", here, compile=False),
        Arm("litgpt", str(litgpt_python), workers / "litgpt_.py", "type: make bench"),
    ]
    if can_compile(torch.device(device)):
        return every, {}
    reason = "it compiles its step, and no compiler is here; install g++"
    return [arm for arm in every if not arm.compile], {arm.name: reason for arm in every if arm.compile}


def token_batches(vocab_size: int, rows: int, context: int, path: Path) -> None:
    """Write BATCHES batches of token ids, (BATCHES, rows, context + 1): seeded, as uneven as words are (Zipf's law)."""
    weights = 1 / (np.arange(vocab_size) + 2.7)
    shape = (BATCHES, rows, context + 1)
    np.save(path, np.random.default_rng(0).choice(vocab_size, shape, p=weights / weights.sum()))


def compare(case: Case, contestants: list[Arm], absent: dict[str, str], rounds: int, seconds: float) -> Outcome:
    """Load every arm, warm it up, and time `rounds` rounds of as many steps as the slowest does in `seconds`.

    Raises LilliputError when an arm did not build the same number of parameters, or does not start near ln V nats."""
    absent = dict(absent)
    first: dict[str, Turn] = {}
    pace: list[float] = []
    workers: list[Worker] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        token_batches(case.model.vocab_size, case.rows, case.context, folder / "batches.npy")
        for arm in contestants:
            try:
                worker = Worker(arm, case.job(folder / "batches.npy"))
            except Absent as reason:
                absent[arm.name] = str(reason)
                say(f"  {arm.name} is absent: {reason}")
                continue
            stack.callback(worker.close)
            workers.append(worker)
            first[arm.name] = turn = worker.run(1)
            pace.append(worker.run(1).seconds)
            say(
                f"  {arm.name}: {number(worker.parameters)} parameters, first loss {turn.loss:.3f}, first step "
                f"{turn.seconds:.1f} s, next {pace[-1]:.2f} s"
            )
        if not workers:
            raise LilliputError("no contestant can run here", next(iter(absent.values()), None))
        same_work(case, {worker.arm.name: worker.parameters for worker in workers}, first)
        steps = max(2, round(seconds / max(pace)))
        turns = interleave(
            workers,
            rounds,
            steps,
            lambda index, worker, turn: say(
                f"  round {index + 1}/{rounds} {worker.arm.name}: {steps * case.tokens / turn.seconds:,.0f} tokens/s"
            ),
        )
        versions = {worker.arm.name: worker.versions for worker in workers}
    return Outcome(case, workers[0].parameters, steps, turns, first, versions, absent)


def same_work(case: Case, parameters: dict[str, int], first: dict[str, Turn]) -> None:
    """Raise LilliputError unless all arms have the same parameters and know as little before their first step."""
    if len(set(parameters.values())) > 1:
        raise LilliputError(f"{case.name}: the arms differ in size: {parameters}")
    expected = math.log(case.model.vocab_size)
    for arm, turn in first.items():
        if not abs(turn.loss - expected) < LOSS_TOLERANCE:
            raise LilliputError(
                f"{case.name}: {arm} starts at {turn.loss:.3f} nats a token, not near ln V = {expected:.3f}"
            )


# ---------------------------------------------------------------------------- telling


def as_json(outcome: Outcome, peak: float) -> dict[str, Any]:
    """The figures of one comparison: medians of tokens/s by arm (null where absent), utilisation of the better of our
    two ways, and all that they rest on. `peak` is the matmul ceiling in FLOP/s."""
    case = outcome.case
    flops = flops_per_token(case.model, case.context)
    cost = flops.training
    rates = {arm: outcome.rate(arm) for arm in (*OURS, *PEERS)}
    fractions = {arm: rate * cost / peak for arm, rate in rates.items() if rate is not None}
    return {
        **rates,
        "matmul_fraction": max((fractions[arm] for arm in OURS if arm in fractions), default=None),
        "matmul_fractions": fractions,
        "ratios": outcome.ratios(),
        "context": case.context,
        "rows": case.rows,
        "micro_rows": case.micro_rows,
        "steps_per_round": outcome.steps,
        "parameters": outcome.parameters,
        "flops_per_token": cost,
        "flops_rule": flops.rule,
        "rounds": {arm: outcome.rates(arm) for arm in outcome.turns},
        "first_loss": {arm: turn.loss for arm, turn in outcome.first.items()},
        "last_loss": {arm: turns[-1].loss for arm, turns in outcome.turns.items()},
        "first_step_seconds": {arm: turn.seconds for arm, turn in outcome.first.items()},
        "versions": outcome.versions,
        "absent": outcome.absent,
    }


def table(name: str, figures: dict[str, Any], facts: dict[str, Any]) -> Table:
    """One comparison as a table for people."""
    made = Table(
        title=f"{name}: {number(figures['parameters'])} parameters, {figures['rows']} x {figures['context']} tokens a "
        f"step, {facts['precision']}, {facts['threads']} threads",
        title_justify="left",
    )
    made.add_column("", no_wrap=True)
    for heading in ("tokens/s", "of rounds", "ours /", "compiled /", "matmul", "nats a token"):
        made.add_column(heading, justify="right", no_wrap=True)
    for arm, rates in figures["rounds"].items():
        ratios = [figures["ratios"].get(f"{ours}/{arm}") for ours in OURS]
        made.add_row(
            arm,
            f"{figures[arm]:,.0f}",
            f"{min(rates):,.0f}-{max(rates):,.0f}",
            *("" if value is None else f"{value:.2f}" for value in ratios),
            f"{figures['matmul_fractions'][arm]:.0%}",
            f"{figures['first_loss'][arm]:.2f} > {figures['last_loss'][arm]:.2f}",
        )
    for arm in figures["absent"]:
        made.add_row(arm, "absent")
    return made


def notes(figures: dict[str, Any], facts: dict[str, Any]) -> list[str]:
    """What the table's figures mean."""
    rounds = len(next(iter(figures["rounds"].values())))
    peak = facts["matmul_flops_per_second"] / 1e9
    return [
        f"medians of {rounds} rounds of {figures['steps_per_round']} steps; 'ours /' and 'compiled /': how many times "
        "as fast as that row, median of the ratio within a round",
        f"matmul: {figures['flops_per_token'] / 1e6:.1f} MFLOP a token against {peak:,.0f} GFLOP/s, the fastest square "
        f"product here; {figures['flops_rule']}",
        *(f"{arm} is absent: {reason}" for arm, reason in figures["absent"].items()),
    ]


# ---------------------------------------------------------------------------- the command


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line, parsed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument(
        "--sizes", nargs="+", default=list(SIZES), help="named model styles of Llama's or Qwen3's parts"
    )
    parser.add_argument("--contexts", nargs="+", type=int, default=[256], help="tokens in a row")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, help="rows of a batch; else 4,096 tokens' worth (story_7m: 8,192)")
    parser.add_argument(
        "--micro-rows", type=int, help="rows of one pass, for every arm; else what Lilliput trains with"
    )
    parser.add_argument("--threads", type=int, help="else one for each physical core")
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16"), default="auto")
    parser.add_argument("--seconds", type=float, default=10.0, help="of the slowest arm in a round; at least 2 steps")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:N")
    parser.add_argument("--litgpt-python", type=Path, default=PEERS_PYTHON, help="an interpreter that has litgpt")
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object, and all other words on standard error"
    )
    asked = parser.parse_args(arguments)
    for name in ("rounds", "rows", "micro_rows", "seconds"):
        if (value := getattr(asked, name)) is not None and not value > 0:
            parser.error(f"--{name.replace('_', '-')} has to be above 0, and is {value}")
    if min(asked.contexts) < 1:
        parser.error("--contexts have to be above 0")
    return asked


def cases(asked: argparse.Namespace, precision: str, device: torch.device, threads: int) -> dict[str, Case]:
    """The comparisons asked for, by name: a size, and from the second context on the size '@' the context."""
    found = {}
    for size in asked.sizes:
        for context in asked.contexts:
            model = resolve(size, context_length=context)
            other = {key: value for key, plain in COMPARED.items() if (value := getattr(model, key)) != plain}
            if other:
                raise ConfigError(
                    f"{size} has parts that the peers are not set up for here: {other}", f"try: {', '.join(SIZES)}"
                )
            rows = asked.rows or max(1, BATCH_TOKENS.get(size, 4096) // context)
            micro = asked.micro_rows or max(1, MICRO_TOKENS[device.type] // context)
            name = size if context == asked.contexts[0] else f"{size}@{context}"
            found[name] = Case(name, model, context, rows, min(micro, rows), precision, str(device), threads)
    return found


def main() -> None:
    """Measure what the command line asks for, and tell it."""
    asked = options()
    use_json(asked.json)
    device = machine.choose_device(asked.device)
    threads = machine.configure_threads(asked.threads)
    choice = machine.choose_precision(asked.precision, device, threads)
    comparisons = cases(asked, choice.name, device, threads)
    peak = machine.matmul_peak(device, choice.dtype, threads, refresh=True)
    shipped = "as shipped" if choice.name == "bf16" else "its shipped bf16-mixed gains nothing here, so 32-true"
    facts = {
        "name": machine.device_name(device),
        "device": str(device),
        "cores": machine.cores(),
        "threads": threads,
        "precision": choice.name,
        "precision_reason": choice.reason,
        "litgpt_precision": f"{'bf16-mixed' if choice.name == 'bf16' else '32-true'} ({shipped})",
        "matmul_flops_per_second": peak,
        "load_average": os.getloadavg()[0],
    }
    say(f"{facts['name']}, {threads} threads, load {facts['load_average']:.1f}; {choice.reason}")
    say(f"litgpt runs {facts['litgpt_precision']}")
    contestants, absent = arms(asked.device, asked.litgpt_python)
    sizes = {}
    for name, case in comparisons.items():
        say(f"{name}: {case.rows} x {case.context} tokens, {case.micro_rows} rows a pass; compiling may take a minute")
        sizes[name] = as_json(compare(case, contestants, absent, asked.rounds, asked.seconds), peak)
        if not asked.json:
            console.print(table(name, sizes[name], facts))
            for note in notes(sizes[name], facts):
                say(note)
    if asked.json:
        emit({"sizes": sizes, "machine": facts})


if __name__ == "__main__":
    try:
        main()
    except LilliputError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(2)
    except KeyboardInterrupt:
        sys.stderr.write("\ninterrupted\n")
        sys.exit(130)
