"""The time and memory of a training step with parts frozen, or with an adapter, beside a step that trains everything.

All choices take turns on the same batch in one process. Time is CPU seconds of the process (on one thread: the time of
a step on an idle core), the median over rounds. Memory is counted, not sampled: the weights, their gradients and
optimiser state, and the activations that the forward pass keeps for the backward pass.

    python benchmarks/freezing.py
    python benchmarks/freezing.py --sizes story_1m --rounds 3 --json
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from contextlib import nullcontext
from statistics import median
from typing import Any, cast

import torch
from rich import box
from rich.table import Table

from lilliput.base import machine
from lilliput.base.console import console, emit, number, print_line, size, use_json
from lilliput.base.runtime.threads import configure_threads
from lilliput.cli.main import one_line_errors
from lilliput.model.config import ModelConfig, resolve
from lilliput.model.lora import AdapterConfig, attach
from lilliput.model.selection import freeze
from lilliput.model.transformer import Model
from lilliput.objectives.batch import Batch
from lilliput.objectives.causal import Causal
from lilliput.objectives.workshop import Workshop
from lilliput.training.config import TrainConfig
from lilliput.training.settings import Settings
from lilliput.training.stepper import Stepper

NOTHING = "nothing"
WARM_UP = 2


def choices(config: ModelConfig) -> dict[str, list[str] | AdapterConfig]:
    """What is frozen, by the name of its row; the last row trains an adapter."""
    blocks = f"blocks.0-{config.n_layers - 1}"
    half = f"blocks.0-{config.n_layers // 2 - 1}" if config.n_layers > 1 else "blocks.0"
    head = [] if config.tied_embeddings else ["embed"]
    return {
        NOTHING: [],
        "embed": ["embed"],
        f"embed, {half}": ["embed", half],
        "all but the head": [*head, blocks, "ln_final"],
        "all, adapter of rank 8": AdapterConfig(rank=8),
    }


class Arm:
    """One choice: a model, its optimiser, and the bytes that a step needs."""

    def __init__(self, config: ModelConfig, frozen: Sequence[str] | AdapterConfig, context: int, rows: int):
        model = Model(config, seed=0)
        if isinstance(frozen, AdapterConfig):
            attach(model, frozen, seed=0)
        elif frozen:
            freeze(model, frozen)
        learner = Causal().build(Workshop(cast(Any, None), model))
        settings = Settings("fp32", False, rows, torch.get_num_threads())
        train = TrainConfig(steps=1)
        self.stepper = Stepper(learner, train, settings, seed=0, context_length=context)
        trained = [one for one in model.parameters() if one.requires_grad]
        self.trained = sum(one.numel() for one in trained)
        self.weights = sum(4 * one.numel() for one in model.parameters())
        self.seconds: list[float] = []
        self.kept: dict[int, int] = {}

    def step(self, batch: Batch, number: int) -> float:
        """CPU seconds of a step."""
        began = time.process_time()
        self.stepper.update(batch, number, 1.0, nullcontext())
        return time.process_time() - began

    def memory(self, batch: Batch) -> dict[str, int]:
        """Bytes by purpose; what a step keeps is counted in a step of its own, each memory once, weights aside."""
        known = {one.untyped_storage().data_ptr() for one in self.stepper.model.parameters()}

        def keep(tensor: torch.Tensor) -> torch.Tensor:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in known:
                self.kept[storage.data_ptr()] = storage.nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            self.step(batch, 0)
        state = sum(tensor.nbytes for tensor in self.stepper.optimizers.state().values())
        return {
            "weights": self.weights,
            "gradients": 4 * self.trained,
            "optimizer": state,
            "activations": sum(self.kept.values()),
        }


def measure(style: str, context: int, batch_tokens: int, rounds: int) -> list[dict[str, Any]]:
    """The rows of one size, in interleaved rounds."""
    config = resolve(style, context_length=context)
    rows = max(1, batch_tokens // context)
    ids = torch.randint(0, config.vocab_size, (rows, context + 1), generator=torch.Generator().manual_seed(0))
    batch = Batch(ids[:, :-1].contiguous(), ids[:, 1:].contiguous(), torch.ones(rows, context))
    arms = {name: Arm(config, frozen, context, rows) for name, frozen in choices(config).items()}
    for turn in range(WARM_UP + rounds):
        for arm in arms.values():
            seconds = arm.step(batch, turn)
            arm.seconds += [seconds] if turn >= WARM_UP else []
    whole = median(arms[NOTHING].seconds)
    memories = {name: arm.memory(batch) for name, arm in arms.items()}
    total = sum(memories[NOTHING].values())
    return [
        {
            "model": style,
            "frozen": name,
            "trained": arm.trained,
            "step_seconds": median(arm.seconds),
            "time_saved": 1 - median(arm.seconds) / whole,
            **{f"{purpose}_bytes": count for purpose, count in memories[name].items()},
            "memory_saved": 1 - sum(memories[name].values()) / total,
        }
        for name, arm in arms.items()
    ]


def table(rows: Sequence[dict[str, Any]]) -> Table:
    """The measurements for people."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for heading in ("model", "frozen"):
        made.add_column(heading, no_wrap=True)
    for heading in ("trained", "step", "time saved", "gradients, optimiser", "activations", "memory saved"):
        made.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        made.add_row(
            row["model"],
            row["frozen"],
            number(row["trained"]),
            f"{1000 * row['step_seconds']:,.0f} ms",
            f"{row['time_saved']:.0%}",
            size(row["gradients_bytes"] + row["optimizer_bytes"]),
            size(row["activations_bytes"]),
            f"{row['memory_saved']:.0%}",
        )
    return made


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line, parsed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--sizes", nargs="+", default=["story_1m", "story_10m"], help="named model styles")
    parser.add_argument("--context", type=int, default=256)
    parser.add_argument("--batch-tokens", type=int, default=2048, help="of every step")
    parser.add_argument("--rounds", type=int, default=7, help="measured steps of each choice")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print one JSON object; all other words on standard error")
    asked = parser.parse_args(arguments)
    if min(asked.context, asked.batch_tokens, asked.rounds) <= 0:
        parser.error("context, tokens and rounds have to be above 0")
    return asked


def main(arguments: list[str] | None = None) -> None:
    """Measure every choice of every size and print the table."""
    asked = options(arguments)
    use_json(asked.json)
    threads = configure_threads(asked.threads)
    found = [row for style in asked.sizes for row in measure(style, asked.context, asked.batch_tokens, asked.rounds)]
    machine_name, load = machine.device_name(torch.device("cpu")), os.getloadavg()[0]
    if asked.json:
        emit({"rows": found, "machine": {"name": machine_name, "threads": threads, "load_average": load}})
        return
    console.print(table(found))
    print_line(f"{machine_name}, {threads} thread(s), fp32, load average {load:.1f}")


if __name__ == "__main__":
    with one_line_errors():
        main()
