"""TopK autoencoders beside sae-lens: activations a CPU-second, and the variance that stays unexplained.

Both train on the same batches of the same activations, with the same width, k, steps and step size, on one thread, in
interleaved rounds. sae-lens runs in three ways: dense (its default), with sparse activations, and with autocast.

    python benchmarks/lens_sparse.py                    # speed, on the residual stream of a model with d_model 256
    python benchmarks/lens_sparse.py --model RUN --quality
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from rich.table import Table

from lilliput.base.console import console, emit, use_json
from lilliput.cli.main import one_line_errors
from lilliput.data.tokenizer import Tokenizer
from lilliput.lens.sparse import collect, middle
from lilliput.model.config import resolve
from lilliput.model.transformer import Model
from lilliput.storybook.world import story
from rounds import Absent, Arm, Turn, Worker, interleave, ratio

ROOT = Path(__file__).resolve().parents[1]
WORKERS = Path(__file__).with_name("workers")
PEER = os.environ.get("LILLIPUT_SAE_LENS", str(ROOT / ".venv-lens" / "bin" / "python"))
WAYS = ("dense", "sparse", "autocast")
KS = (16, 32, 64)
SHAPE = {"d_model": 256, "n_layers": 4, "n_heads": 4, "context_length": 256}
"""About 6 million parameters with a vocabulary of 4,096."""


def arms(ways: Sequence[str] = WAYS) -> list[Arm]:
    """Ours, and sae-lens in each way."""
    ours = Arm("ours", sys.executable, WORKERS / "sparse_ours.py", "")
    install = "type: make lens-check"
    return [ours, *(Arm(f"sae_lens_{way}", PEER, WORKERS / "sparse_sae_lens.py", install) for way in ways)]


def write_activations(path: Path, source: str | None, count: int) -> int:
    """Write (count, d) activations of the middle residual stream on stories, with a mean square of 1; return d. The
    model is the run `source`, or an untrained model of SHAPE."""
    if source:
        from lilliput.generation.loading import load

        generator = load(source, notify=lambda text: None)
        model, tokenizer = generator.model, generator.tokenizer
    else:
        tokenizer = None
        model = Model(resolve("story_1m", **SHAPE, vocab_size=4096), seed=0).eval()
    length = model.config.context_length
    found = collect(model, token_rows(tokenizer, -(-count // (length - 1)), length), middle(model))[:count]
    np.save(path, (found / found.square().mean().sqrt()).numpy())
    return found.shape[1]


def token_rows(tokenizer: Tokenizer | None, rows: int, length: int) -> torch.Tensor:
    """(rows, length): story text end to end, or for no tokenizer random ids as uneven as words are (Zipf's law)."""
    if tokenizer is None:
        weights = 1 / (torch.arange(4096) + 2.7)
        return torch.multinomial(weights, rows * length, True, generator=torch.Generator().manual_seed(0)).view(
            rows, -1
        )
    found: list[list[int]] = []
    rest: list[int] = []
    number = 0
    while len(found) < rows:
        while len(rest) < length - 1:
            rest += tokenizer.encode(story(11, number).text)
            number += 1
        found.append([tokenizer.bos_id, *rest[: length - 1]])
        rest = rest[length - 1 :]
    return torch.tensor(found)


def measure(
    job: dict[str, Any], contestants: Sequence[Arm], rounds: int, steps: int, warm_up: int = 2
) -> dict[str, Any]:
    """Run the contestants in turn; return their turns and the absent ones. The first `warm_up` steps are not timed."""
    absent: dict[str, str] = {}
    with ExitStack() as stack:
        workers: list[Worker] = []
        for arm in contestants:
            try:
                worker = Worker(arm, {**job, "way": arm.name.removeprefix("sae_lens_")})
            except Absent as reason:
                absent[arm.name] = str(reason)
                continue
            stack.callback(worker.close)
            workers.append(worker)
        for worker in workers:
            if warm_up:
                worker.run(warm_up)
        turns = interleave(workers, rounds, steps, lambda number, worker, turn: None)
        versions = {worker.arm.name: worker.versions for worker in workers}
    return {"turns": turns, "absent": absent, "versions": versions}


def speeds(found: dict[str, Any], activations: int) -> dict[str, Any]:
    """Activations a CPU-second by arm (median of rounds), and our speed as a multiple of each peer's."""
    turns: dict[str, list[Turn]] = found["turns"]
    rates = {name: round(median(activations / turn.seconds for turn in each)) for name, each in turns.items()}
    ratios = {name: round(ratio(turns["ours"], each), 2) for name, each in turns.items() if name != "ours"}
    return {"activations_per_cpu_second": rates, "ours_beside": ratios}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure speed (and with --quality the unexplained variance) for each k, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="a run; else an untrained model with d_model 256")
    parser.add_argument("--width", type=int, default=4096)
    parser.add_argument("--k", type=int, nargs="+", default=KS)
    parser.add_argument("--batch", type=int, default=4096)
    parser.add_argument("--activations", type=int, default=32768)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=3, help="steps of a round; with --quality, of the training")
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--dead", type=float, default=0.1, help="share of features that count as dead, for the speed")
    parser.add_argument("--quality", action="store_true", help="train to the end and compare the unexplained variance")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args(arguments)
    use_json(asked.json)
    report: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "activations.npy"
        report["d"] = write_activations(path, asked.model, asked.activations)
        total = asked.steps if asked.quality else asked.steps * asked.rounds + 2
        job = {"activations": str(path), "width": asked.width, "batch": asked.batch, "steps": total, "lr": asked.lr}
        job |= {"aux_weight": 1 / 32, "dead_steps": 50, "dead": 0.0 if asked.quality else asked.dead, "threads": 1}
        for k in asked.k:
            chosen = arms(("dense",)) if asked.quality else arms()
            found = measure(
                {**job, "k": k}, chosen, *((1, asked.steps, 0) if asked.quality else (asked.rounds, asked.steps))
            )
            report[f"k={k}"] = {
                **speeds(found, asked.steps * asked.batch),
                "unexplained": {name: round(each[-1].loss, 4) for name, each in found["turns"].items()},
                "absent": found["absent"],
            }
            report["versions"] = found["versions"]
    emit(report) if asked.json else console.print(_table(report))


def _table(report: dict[str, Any]) -> Table:
    table = Table(title=f"activations a CPU-second of one thread, d={report['d']}")
    for name in ("k", "arm", "activations/s", "ours beside it", "variance unexplained"):
        table.add_column(name)
    for key, found in report.items():
        if not key.startswith("k="):
            continue
        for name, rate in found["activations_per_cpu_second"].items():
            beside = found["ours_beside"].get(name)
            table.add_row(key, name, f"{rate:,}", f"{beside}x" if beside else "", f"{found['unexplained'][name]:.4f}")
        for name, reason in found["absent"].items():
            table.add_row(key, name, "absent", "", reason)
    return table


if __name__ == "__main__":
    with one_line_errors():
        main()
