"""One comparison of a training step: the same shape and batches for every arm, the figures, and their tables."""

from __future__ import annotations

import math
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from rich import box
from rich.table import Table

from lilliput.base.console import number, print_line, size
from lilliput.base.errors import LilliputError
from lilliput.model.config import ModelConfig
from lilliput.model.counts import flops_per_token
from lilliput.training.config import TrainConfig
from rounds import Absent, Arm, Turn, Worker, interleave, ratio

OURS = ("ours_eager", "ours_compiled")
LITGPT = ("litgpt", "litgpt_same_allocator", "litgpt_same_environment")
PEERS = ("transformers", *LITGPT)
CEILING = "products"
"""The step's matrix products alone, in the same rounds. They are no contestant, but the limit that the step could
reach."""
BATCHES = 8
LOSS_TOLERANCE = 1.0
"""The most nats a token between an untrained model's loss and ln V, because libraries differ only in first weights."""


@dataclass(frozen=True)
class Case:
    """One comparison: a shape, a batch, the device and the settings of the run."""

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
        """Return the job of a worker (workers/protocol.py). The optimiser's settings are Lilliput's defaults."""
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
    """The measurements of a comparison, by arm. `absent` gives the reason for each missing arm. `first` is the first
    step."""

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
        """Return the speed of each of our ways as a multiple of each peer: {'ours_eager/transformers': ...}."""
        return {
            f"{ours}/{peer}": ratio(self.turns[ours], self.turns[peer])
            for ours in OURS
            for peer in (*PEERS, CEILING)
            if ours in self.turns and peer in self.turns
        }


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
                print_line(f"  {arm.name} is absent: {reason}")
                continue
            stack.callback(worker.close)
            workers.append(worker)
            first[arm.name] = turn = worker.run(1)
            pace.append(worker.run(1).seconds)
            trained = f"{number(worker.parameters)} parameters, first loss {turn.loss:.3f}, "
            print_line(
                f"  {arm.name}: {trained * (arm.name != CEILING)}first step {turn.seconds:.1f} s, next {pace[-1]:.2f} s"
            )
        trainers = [worker for worker in workers if worker.arm.name != CEILING]
        if not trainers:
            raise LilliputError("no contestant can run here", next(iter(absent.values()), None))
        same_work(
            case,
            {worker.arm.name: worker.parameters for worker in trainers},
            {worker.arm.name: first[worker.arm.name].loss for worker in trainers},
        )
        steps = max(2, round(seconds / max(pace)))
        turns = interleave(
            workers,
            rounds,
            steps,
            lambda index, worker, turn: print_line(
                f"  round {index + 1}/{rounds} {worker.arm.name}: {steps * case.tokens / turn.seconds:,.0f} tokens/s"
            ),
        )
        versions = {worker.arm.name: worker.versions for worker in workers}
    return Outcome(case, trainers[0].parameters, steps, turns, first, versions, absent)


def same_work(case: Case, parameters: dict[str, int], first: dict[str, float]) -> None:
    """Raise LilliputError unless all arms have the same parameters and start near ln V nats."""
    if len(set(parameters.values())) > 1:
        raise LilliputError(f"{case.name}: the arms differ in size: {parameters}")
    expected = math.log(case.model.vocab_size)
    for arm, loss in first.items():
        if not abs(loss - expected) < LOSS_TOLERANCE:
            raise LilliputError(f"{case.name}: {arm} starts at {loss:.3f} nats a token, not near ln V = {expected:.3f}")


# ---------------------------------------------------------------------------- printing


def as_json(outcome: Outcome, peak: float) -> dict[str, Any]:
    """The figures of one comparison: medians of tokens/s by arm (null where absent), `ours` and its utilisation those
    of the better of our two ways, and the facts behind them. `peak` is the matmul ceiling in FLOP/s, that of
    `matmul_fraction`; `products_fraction` is measured against the step's own products."""
    case = outcome.case
    flops = flops_per_token(case.model, case.context)
    cost = flops.training
    rates = {arm: outcome.rate(arm) for arm in (*OURS, *PEERS, CEILING)}
    ratios = outcome.ratios()
    trained = [arm for arm in outcome.turns if arm != CEILING]
    fractions = {arm: rate * cost / peak for arm, rate in rates.items() if rate is not None}
    return {
        "ours": max((rates[arm] or 0.0 for arm in OURS), default=0.0) or None,
        **rates,
        "matmul_fraction": max((fractions[arm] for arm in OURS if arm in fractions), default=None),
        "matmul_fractions": fractions,
        "products_fraction": max((ratios[key] for arm in OURS if (key := f"{arm}/{CEILING}") in ratios), default=None),
        "ratios": ratios,
        "context": case.context,
        "rows": case.rows,
        "micro_rows": case.micro_rows,
        "steps_per_round": outcome.steps,
        "parameters": outcome.parameters,
        "flops_per_token": cost,
        "flops_rule": flops.rule,
        "rounds": {arm: outcome.rates(arm) for arm in outcome.turns},
        "first_loss": {arm: outcome.first[arm].loss for arm in trained},
        "last_loss": {arm: outcome.turns[arm][-1].loss for arm in trained},
        "peak_bytes": {arm: turns[-1].peak_bytes for arm, turns in outcome.turns.items()},
        "first_step_seconds": {arm: turn.seconds for arm, turn in outcome.first.items()},
        "versions": outcome.versions,
        "absent": outcome.absent,
    }


def table(name: str, figures: dict[str, Any], facts: dict[str, Any]) -> Table:
    """Return one comparison as a table for people."""
    made = Table(
        title=f"{name}: {number(figures['parameters'])} parameters, {figures['rows']} x {figures['context']} tokens a "
        f"step, {facts['precision']}, {facts['threads']} threads",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    made.add_column("", no_wrap=True)
    for heading in ("tokens/s", "rounds", "eager /", "comp /", "matmul", "memory", "nats"):
        made.add_column(heading, justify="right", no_wrap=True)
    for arm, rates in figures["rounds"].items():
        ratios = [figures["ratios"].get(f"{ours}/{arm}") for ours in OURS]
        made.add_row(
            arm,
            f"{figures[arm]:,.0f}",
            f"{min(rates):,.0f}-{max(rates):,.0f}",
            *("" if value is None else f"{value:.2f}" for value in ratios),
            f"{figures['matmul_fractions'][arm]:.0%}",
            size(figures["peak_bytes"][arm]),
            f"{figures['first_loss'][arm]:.2f} > {figures['last_loss'][arm]:.2f}"
            if arm in figures["last_loss"]
            else "",
        )
    for arm in figures["absent"]:
        made.add_row(arm, "absent")
    return made


def notes(figures: dict[str, Any], facts: dict[str, Any]) -> list[str]:
    """Return the meaning of the table's figures."""
    rounds = len(next(iter(figures["rounds"].values())))
    peak = facts["matmul_flops_per_second"] / 1e9
    return [
        f"medians over {rounds} x {figures['steps_per_round']} steps; 'eager /' and 'comp /': how many times as fast "
        "as that row ours is, eager and compiled, within a round; memory: the most held; nats a token of the "
        "first step and the last",
        f"matmul: {figures['flops_per_token'] / 1e6:.1f} MFLOP a token against {peak:,.0f} GFLOP/s, the fastest square "
        f"product here; {figures['flops_rule']}; '{CEILING}': the step's own matrix products and nothing else",
        *(f"{arm} is absent: {reason}" for arm, reason in figures["absent"].items()),
    ]
