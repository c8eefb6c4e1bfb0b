"""Tokens/s and matmul utilisation of one training step: Lilliput beside transformers and LitGPT on the same batches.

A step is forward, loss, backward, clipping and AdamW. Every contestant trains the same shape on the same token ids with
the same threads, precision and settings, each in a process and an environment of its own; they take turns in rounds.

    python benchmarks/train_step.py                  # or `make bench`, which installs the peers first
    python benchmarks/train_step.py --sizes story_7m --contexts 256 1024 --rounds 9 --json
    python benchmarks/train_step.py --families        # experts, encoders, an encoder-decoder, and a decoder beside them
    python benchmarks/train_step.py --arms ours_eager transformers --contexts 512 --rows 32 --micro-rows 32

All that take part hold their memory at once: --arms leaves out some.
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path

import torch

from comparison import CEILING, LITGPT, OURS, PEERS, Case, Outcome, as_json, compare, notes, table
from lilliput.base import machine
from lilliput.base.console import console, emit, print_line, use_json
from lilliput.base.errors import LilliputError
from lilliput.base.machine import can_compile
from lilliput.base.runtime import allocator, products
from lilliput.base.runtime.threads import configure_threads
from lilliput.cli.main import one_line_errors
from lilliput.model.config import ModelConfig, resolve
from lilliput.model.huggingface import stock_of
from lilliput.training.settings import MICRO_TOKENS
from rounds import Arm

HERE = Path(__file__).resolve().parent
PEERS_PYTHON = HERE.parent / ".venv-bench" / "bin" / "python"
SIZES = ("llama_6L_6H_288D", "story_7m")
FAMILIES = ("story_1.8m", "moe_3.5m_a1.9m", "bert_1.4m", "modernbert_1.3m", "t5_2.5m")
"""A size of each family."""
CHANGES = {"t5_2.5m": {"tied_embeddings": True, "unembed_scale": True}}
"""transformers trains T5 with tied embeddings alone."""
BATCH_TOKENS = {"llama_6L_6H_288D": 4096, "story_7m": 8192}
COMPARED = {
    "norm": "rms",
    "mlp": "swiglu",
    "position": "rotary",
    "residual": "sequential",
    "bias": False,
    "window": None,
}
"""The parts that LitGPT is set up for here: Llama's, with or without QK-norm (Qwen3)."""


def arms(device: torch.device, litgpt_python: Path) -> tuple[list[Arm], dict[str, str]]:
    """The contestants with their ceiling, and those that cannot run for want of a compiler."""
    workers = HERE / "workers"
    here = "install Lilliput into this environment: pip install -e '.[hf]'"
    kept, all_of_it = same_allocator(), our_environment()
    litgpt = Arm("litgpt", str(litgpt_python), workers / "litgpt_.py", "type: make bench")
    every = [
        Arm("ours_eager", sys.executable, workers / "ours.py", here, compile=False, environment=all_of_it),
        Arm("ours_compiled", sys.executable, workers / "ours.py", here, environment=all_of_it),
        Arm("transformers", sys.executable, workers / "transformers_.py", here, compile=False),
        litgpt,
        replace(litgpt, name="litgpt_same_allocator", environment=kept),
        replace(litgpt, name="litgpt_same_environment", environment=all_of_it),
        Arm(CEILING, sys.executable, workers / "products.py", here, compile=False, environment=all_of_it),
    ]
    if all_of_it == kept:
        every = [arm for arm in every if arm.name != "litgpt_same_environment"]
    if can_compile(device):
        return every, {}
    reason = "it compiles its step, and no compiler is here; install g++"
    return [arm for arm in every if not arm.compile], {arm.name: reason for arm in every if arm.compile}


def unable(model: ModelConfig) -> dict[str, str]:
    """The contestants that cannot build this shape, and why."""
    found = {}
    stock = stock_of(model)
    if stock is None or (stock.always_biased and not model.bias):
        found["transformers"] = "none of its classes has just these parts"
    other = [f"{key}={value}" for key, plain in COMPARED.items() if (value := getattr(model, key)) != plain]
    other += [] if model.family == "decoder" else [f"an {model.family}"]
    if other:
        found |= dict.fromkeys(LITGPT, f"it is set up here for Llama's parts, not {', '.join(other)}")
    return found


def same_allocator() -> dict[str, str]:
    """The variables that give any program the memory allocator that `lilliput train` runs on."""
    better = allocator.better_environment(os.environ)
    if better is not None:
        return {name: value for name, value in better.items() if os.environ.get(name) != value}
    return {} if allocator.loaded() or allocator.asked() == "system" else dict(allocator.GLIBC_KEEPS)


def our_environment() -> dict[str, str]:
    """The variables with which any program has the allocator and the matrix products of `lilliput train`."""
    variables = same_allocator()
    library = products.prepare()
    if library is not None:
        preloaded = variables.get("LD_PRELOAD") or os.environ.get("LD_PRELOAD")
        variables["LD_PRELOAD"] = ":".join(filter(None, [preloaded, str(library)]))
    return variables


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line, parsed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--sizes", nargs="+", default=list(SIZES), help="named model styles (`lilliput model list`)")
    parser.add_argument("--families", action="store_true", help=f"in place of --sizes: {', '.join(FAMILIES)}")
    parser.add_argument("--contexts", nargs="+", type=int, default=[256], help="tokens in a row")
    every = [*OURS, *PEERS, CEILING]
    parser.add_argument("--arms", nargs="+", choices=every, default=every, help="who takes part")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--rows", type=int, help="rows of a batch; else 4,096 tokens' worth (story_7m: 8,192; a GPU: 65,536)"
    )
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
    for size in FAMILIES if asked.families else asked.sizes:
        for context in asked.contexts:
            model = resolve(size, context_length=context, **CHANGES.get(size, {}))
            tokens = MICRO_TOKENS[device.type]
            rows = asked.rows or max(1, (BATCH_TOKENS.get(size, tokens) if device.type == "cpu" else tokens) // context)
            micro = asked.micro_rows or max(1, tokens // context)
            name = size if context == asked.contexts[0] else f"{size}@{context}"
            found[name] = Case(name, model, context, rows, min(micro, rows), precision, str(device), threads)
    return found


def fitting(case: Case, contestants: list[Arm], absent: dict[str, str], rounds: int, seconds: float) -> Outcome:
    """The comparison, with passes halved and halved again for all until they fit into everyone's memory on a GPU."""
    while True:
        try:
            return compare(case, contestants, absent, rounds, seconds)
        except LilliputError as error:
            if "OutOfMemoryError" not in error.message or case.micro_rows == 1:
                raise
        case = replace(case, micro_rows=case.micro_rows // 2)
        print_line(f"  that is more than the device's memory holds; again with {case.micro_rows} rows a pass")


def main(arguments: list[str] | None = None) -> None:
    """Measure the requested arms, and print the figures."""
    asked = options(arguments)
    use_json(asked.json)
    device = machine.choose_device(asked.device)
    threads = configure_threads(asked.threads)
    choice = machine.choose_precision(asked.precision, device, threads)
    comparisons = cases(asked, choice.name, device, threads)
    peak = machine.matmul_peak(device, choice.dtype, threads, refresh=True)
    litgpt = (
        "bf16-mixed, as shipped" if choice.name == "bf16" else "32-true (it ships with bf16-mixed; here all use fp32)"
    )
    facts = {
        "name": machine.device_name(device),
        "device": str(device),
        "cores": machine.cores(),
        "threads": threads,
        "precision": choice.name,
        "precision_reason": choice.reason,
        "litgpt_precision": litgpt,
        "allocator": " ".join(f"{name}={value}" for name, value in same_allocator().items()) or "the system's",
        "our_environment": our_environment(),
        "matmul_flops_per_second": peak,
        "load_average": os.getloadavg()[0],
    }
    print_line(f"{facts['name']}, {threads} threads, load {facts['load_average']:.1f}; {choice.reason}")
    print_line(
        f"litgpt runs {facts['litgpt_precision']}; memory of ours and litgpt_same_allocator: {facts['allocator']}"
    )
    if products.prepare() is not None:
        print_line("products of ours and litgpt_same_environment: MKL's kernels for Intel's processors")
    contestants, absent = arms(device, asked.litgpt_python)
    sizes = {}
    for name, case in comparisons.items():
        print_line(
            f"{name}: {case.rows} x {case.context} tokens, {case.micro_rows} rows a pass; compiling may take a minute"
        )
        left_out = {arm: why for arm, why in (absent | unable(case.model)).items() if arm in asked.arms}
        able = [arm for arm in contestants if arm.name in asked.arms and arm.name not in left_out]
        sizes[name] = as_json(fitting(case, able, left_out, asked.rounds, asked.seconds), peak)
        if not asked.json:
            console.print(table(name, sizes[name], facts))
            for note in notes(sizes[name], facts):
                print_line(note)
    if asked.json:
        emit({"sizes": sizes, "machine": facts})


if __name__ == "__main__":
    with one_line_errors():
        main()
