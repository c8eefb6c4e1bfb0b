"""The cost of looking inside: CPU seconds of a forward pass with capture over those of the plain pass.

    python benchmarks/lens.py
    python benchmarks/lens.py --style story_1.8m --repeats 5 --json

Beside it stands TransformerLens' `run_with_cache` over its own plain pass, on the same weights and tokens, in the same
rounds, in its own process and environment (`make lens-check` builds .venv-bridge). Both have the same memory allocator;
with LILLIPUT_ALLOCATOR=system both have the system's, which makes a full cache dearer.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table

from lilliput.base.console import console, emit, print_line, use_json
from lilliput.base.runtime import allocator, start
from lilliput.cli.main import one_line_errors
from rounds import Absent, Arm, Worker

if TYPE_CHECKING:
    import torch

    from lilliput.model.transformer import Model

ROWS, LENGTH = 8, 128
GOALS = {"everything": 1.5, "one name": 1.05}
"""The most that capture may cost, as a multiple of the plain pass."""
ONE = "blocks.2.hook_resid_post"
ROOT = Path(__file__).resolve().parents[1]
WORKER = Path(__file__).with_name("workers") / "lens_transformerlens.py"
PEER = os.environ.get("LILLIPUT_BRIDGE", str(ROOT / ".venv-bridge" / "bin" / "python"))


def one_round(works: Mapping[str, Callable[[], Any]]) -> dict[str, float]:
    """Do each work once; return its CPU seconds."""
    found = {}
    for name, work in works.items():
        began = time.process_time()
        work()
        found[name] = time.process_time() - began
    return found


def in_turns(contestants: Sequence[Callable[[], Mapping[str, float]]], repeats: int) -> list[dict[str, list[float]]]:
    """Return the CPU seconds of the works of each contestant in each of `repeats` rounds. The contestants take turns,
    and one round before warms up."""
    found: list[dict[str, list[float]]] = [{} for _ in contestants]
    for repeat in range(repeats + 1):
        for kept, contestant in zip(found, contestants, strict=True):
            for name, seconds in contestant().items():
                if repeat:
                    kept.setdefault(name, []).append(seconds)
    return found


def ours(model: Model, tokens: torch.Tensor) -> dict[str, Callable[[], Any]]:
    """Return the plain pass, and the pass with each kind of capture."""
    from lilliput import lens
    from lilliput.decoding.inference import inference

    def run(looking: Callable[[], AbstractContextManager[Any]]) -> None:
        with inference(model), looking():
            model.logits(model(tokens))

    return {
        "plain": lambda: run(nullcontext),
        "plain again": lambda: run(nullcontext),
        "everything": lambda: run(lambda: lens.capture(model)),
        "the residual stream": lambda: run(lambda: lens.capture(model, "blocks.*.hook_resid_*")),
        "one name": lambda: run(lambda: lens.capture(model, ONE)),
    }


def peer(model: Model, tokens: torch.Tensor, folder: Path) -> Worker:
    """Start TransformerLens on the same weights and tokens, which go through `folder`, with the same memory allocator.
    Raises Absent without its environment."""
    import numpy as np

    from lilliput.model.huggingface import to_huggingface

    same = allocator.GLIBC_KEEPS if allocator.name() == "glibc" else {}
    environment = {**same, "HF_HUB_OFFLINE": "1"}
    arm = Arm("transformerlens", PEER, WORKER, "type: make lens-check", environment=environment)
    to_huggingface(model, folder / "model")
    np.save(folder / "tokens.npy", tokens.numpy())
    job = {"folder": str(folder / "model"), "tokens": str(folder / "tokens.npy"), "name": ONE, "threads": 1}
    return Worker(arm, job)


def ratios(seconds: Mapping[str, list[float]]) -> dict[str, dict[str, float]]:
    """Return for each work its median CPU milliseconds, and the median over the rounds of its ratio to the plain
    pass."""
    plain = seconds["plain"]
    return {
        name: {
            "milliseconds": 1e3 * statistics.median(each),
            "ratio": statistics.median(one / base for one, base in zip(each, plain, strict=True)),
        }
        for name, each in seconds.items()
    }


def measure(style: str, vocabulary: int, repeats: int) -> dict[str, Any]:
    """Measure both libraries on a new model of a style, on one thread."""
    import torch

    from lilliput.model.config import ModelConfig
    from lilliput.model.transformer import Model

    torch.set_num_threads(1)
    model = Model(ModelConfig(style=style, vocab_size=vocabulary)).eval()
    source = torch.Generator().manual_seed(0)
    tokens = torch.randint(0, model.config.vocab_size, (ROWS, LENGTH), generator=source)
    works, absent, versions = ours(model, tokens), "", {}
    contestants: list[Callable[[], Mapping[str, float]]] = [lambda: one_round(works)]
    with ExitStack() as stack:
        try:
            worker = peer(model, tokens, Path(stack.enter_context(tempfile.TemporaryDirectory())))
        except Absent as reason:
            absent = str(reason)
        else:
            stack.callback(worker.close)
            contestants.append(lambda: worker.run(1).parts)
            versions = worker.versions
        mine, *theirs = in_turns(contestants, repeats)
    return {
        "style": style,
        "parameters": sum(one.numel() for one in model.parameters()),
        "rows": ROWS,
        "tokens": LENGTH,
        "repeats": repeats,
        "cores": os.cpu_count(),
        "allocator": allocator.name(),
        "ours": ratios(mine),
        "transformerlens": ratios(theirs[0]) if theirs else None,
        "absent": absent,
        "versions": {"torch": torch.__version__, "transformerlens": versions},
        "goals": GOALS,
    }


def table(figures: dict[str, Any]) -> Table:
    """The costs for people."""
    title = (
        f"{figures['parameters']:,} parameters, {ROWS} x {LENGTH} tokens, one thread, {figures['repeats']} rounds, "
        f"memory by {figures['allocator']}"
    )
    made = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for heading in ("", "CPU ms", "over plain", "goal", "TransformerLens over its plain"):
        made.add_column(heading, justify="right" if heading else "left")
    theirs = figures["transformerlens"] or {}
    for name, row in figures["ours"].items():
        goal, rival = GOALS.get(name), theirs.get(name)
        other = f"{rival['ratio']:.2f} ({rival['milliseconds']:.0f} ms)" if rival else ""
        made.add_row(name, f"{row['milliseconds']:.1f}", f"{row['ratio']:.3f}", f"{goal:.2f}" if goal else "", other)
    return made


def main(arguments: list[str] | None = None) -> None:
    """Measure the costs, and print them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--style", default="story_7m", help="the style of the model")
    parser.add_argument("--vocabulary", type=int, default=2048, help="tokens; by default 5.9M weights")
    parser.add_argument("--repeats", type=int, default=15, help="rounds; figures are medians over them")
    parser.add_argument("--json", action="store_true", help="print one JSON object; all other words on standard error")
    asked = parser.parse_args(arguments)
    if asked.repeats < 1:
        parser.error(f"--repeats has to be above 0, and is {asked.repeats}")
    use_json(asked.json)
    figures = measure(asked.style, asked.vocabulary, asked.repeats)
    if asked.json:
        emit(figures)
        return
    console.print(table(figures))
    if figures["absent"]:
        print_line(f"TransformerLens was left out: {figures['absent']}")


if __name__ == "__main__":
    with one_line_errors():
        start.restart()
        # glibc keeps freed memory, as in training: without it the system hands out memory anew in every
        # pass, and full capture took 1.6 times the plain pass instead of 1.1 times.
        start.begin(trains=True)
        main()
