"""How fast this machine trains a small model: the FLOP/s of a real training step, measured once and kept."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from pathlib import Path
from time import perf_counter

from lilliput.base.files import cache_folder, write_json
from lilliput.base.machine import choose_device, choose_precision, configure_threads, matmul_peak, peak_key
from lilliput.base.threads import counted
from lilliput.model.counts import flops_per_token
from lilliput.model.styles import resolve

STYLE, TOKENS = "story_2m", 2048
STEPS = 8
"""The fastest of so many steps counts: others met something else that ran."""
UTILISATION = 0.45
"""Share of an accelerator's matmul peak that training is taken to reach: the usual 40 to 50% of tuned trainers, not
measured here. A processor's own step is measured, since peak and step grow apart: 52% of the peak on a Zen 3 in fp32
(docs/studies/speed.md), 12% on a Xeon with AMX (docs/studies/dial.md)."""


def training_speed() -> tuple[float, str]:
    """FLOP/s that training a small model reaches here in the precision that a run would choose, by the FLOPs of
    model/counts.py, and the words for where. On a CPU a step of `STYLE` with `TOKENS` tokens is measured, some seconds,
    once a machine; elsewhere it is `UTILISATION` of the peak."""
    device = choose_device()
    threads = configure_threads()
    precision = choose_precision("auto", device, threads)
    if device.type != "cpu":
        return matmul_peak(device, precision.dtype, threads) * UTILISATION, f"{UTILISATION:.0%} of the matmul peak here"
    where = f"a training step on {counted(threads)}"
    key = "-".join(peak_key(device, precision.dtype, threads))
    path = cache_folder() / "machine" / (re.sub(r"[^\w.+-]+", "_", key) + "-step.json")
    known = _read(path)
    if known is not None:
        return known, where
    speed = measure(bf16=precision.name == "bf16")
    with suppress(OSError):  # a cache that cannot be written only means measuring again
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, {"style": STYLE, "tokens": TOKENS, "flops_per_second": speed})
    return speed, where


def measure(style: str = STYLE, bf16: bool = False) -> float:
    """FLOP/s of the fastest of `STEPS` steps (forward, backward, optimiser) on the CPU with torch's present threads."""
    import torch

    from lilliput.model.transformer import Model
    from lilliput.train.config import OptimizerConfig
    from lilliput.train.optim import build

    model = Model(resolve(style), seed=0)
    optimizers = build(model, OptimizerConfig(kind="muon"), bf16)
    rows = TOKENS // model.config.context_length
    tokens = torch.randint(model.config.vocab_size, (rows, model.config.context_length + 1))
    weights = torch.ones(rows, model.config.context_length)
    best = float("inf")
    for _ in range(STEPS):
        began = perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = model.loss(model(tokens[:, :-1]), tokens[:, 1:], weights) / weights.numel()
        loss.backward()
        optimizers.step()
        optimizers.zero_grad()
        best = min(best, perf_counter() - began)
    return flops_per_token(model.config).training * TOKENS / best


def _read(path: Path) -> float | None:
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        speed = float(kept["flops_per_second"])
    except (OSError, ValueError, KeyError, TypeError):
        return None  # not measured yet, or damaged: measured again and replaced
    return speed if speed > 0 and kept.get("style") == STYLE else None
