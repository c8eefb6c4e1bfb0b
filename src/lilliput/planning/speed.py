"""The speed at which this machine trains a small model: the FLOP/s of a real training step, measured once and kept."""

from __future__ import annotations

from time import perf_counter

from lilliput.base.machine import choose_device, choose_precision, kept_peak, matmul_peak, peak_key
from lilliput.base.runtime.threads import configure_threads, counted
from lilliput.base.undisturbed import timed
from lilliput.model.config import resolve
from lilliput.model.counts import flops_per_token

STYLE, TOKENS = "story_2m", 2048
STEPS = 8
"""The fastest of this many steps counts, because other programs slow single steps down."""
UTILISATION = 0.45
"""The assumed share of an accelerator's matmul peak that training reaches. Tuned trainers usually reach 40 to 50%; this
number was not measured here. On a CPU a real step is measured instead, because the share differs much between
processors: 52% on a Zen 3 in fp32 (docs/studies/speed.md), 11% on a Xeon with AMX (docs/studies/dial.md)."""


def training_speed() -> tuple[float, str]:
    """Return the FLOP/s that training a small model reaches here, and a phrase that names the machine.

    FLOPs are counted as in model/counts.py, in the precision that a run would choose. On a CPU a step of `STYLE` with
    `TOKENS` tokens is measured once a machine, in some seconds. On an accelerator the speed is `UTILISATION` of the
    peak."""
    device = choose_device()
    threads = configure_threads()
    precision = choose_precision("auto", device, threads)
    if device.type != "cpu":
        return matmul_peak(device, precision.dtype, threads) * UTILISATION, f"{UTILISATION:.0%} of the matmul peak here"
    where = f"a training step on {counted(threads)}"
    bf16 = precision.name == "bf16"
    key = "-".join((*peak_key(device, precision.dtype, threads), STYLE, "step"))
    return kept_peak(key, lambda: measure(bf16=bf16)).rate, where


def measure(style: str = STYLE, bf16: bool = False) -> tuple[float, float]:
    """Return the FLOP/s of the fastest of `STEPS` steps (forward, backward, optimiser) on the CPU with torch's present
    threads, and the share of the processors that the steps had."""
    import torch

    from lilliput.model.transformer import Model
    from lilliput.training.config import OptimizerConfig
    from lilliput.training.optim import build

    model = Model(resolve(style), seed=0)
    optimizers = build(model, OptimizerConfig(kind="muon"), bf16)
    rows = TOKENS // model.config.context_length
    tokens = torch.randint(model.config.vocab_size, (rows, model.config.context_length + 1))
    weights = torch.ones(rows, model.config.context_length)

    def step() -> float:
        began = perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = model.loss(model(tokens[:, :-1]), tokens[:, 1:], weights) / weights.numel()
        loss.backward()
        optimizers.step()
        optimizers.zero_grad()
        return perf_counter() - began

    step()
    return max(timed(step, flops_per_token(model.config).training * TOKENS) for _ in range(STEPS))
