"""A run's choices for its machine: precision, threads, micro-batch, and compiling where it saves time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import torch

from lilliput.base.console import duration
from lilliput.base.errors import TrainingError
from lilliput.base.machine import can_compile, choose_precision
from lilliput.base.runtime import state
from lilliput.base.runtime.threads import configure_threads, counted
from lilliput.decoding.native import bf16_by
from lilliput.model import kernels
from lilliput.training.config import TrainConfig
from lilliput.training.schedule import Budget

if TYPE_CHECKING:
    from lilliput.model.transformer import Model
    from lilliput.objectives.batch import Batch
    from lilliput.objectives.objective import Objective

# A first compile costs 16 s on two cores (2 s where the shape is known) and makes a step 1.05 to 1.15 times as fast, so
# that it has paid for itself after two to six minutes (docs/studies/speed.md).
REPAYS_SECONDS = 300.0
VERSIONS = ("torch", "lilliput", "python")
MICRO_TOKENS = {"cpu": 4096, "cuda": 65536, "mps": 16384}


@dataclass(frozen=True, slots=True)
class Settings:
    """The choices for this machine at the run's start, and the process's other means of computing. Checkpoints keep
    them, because a resumed run must compute in the same way to give the same bits. '' is unknown: checkpoints of
    earlier versions hold only the first four.

    `rollouts` names the instructions by which rollouts compute with bf16 weights on a CPU: 'fp32' where they do not,
    and 'none' on another device."""

    precision: str
    compile: bool
    micro_batch_rows: int
    threads: int
    kernels: str = ""
    products: str = ""
    allocator: str = ""
    torch: str = ""
    lilliput: str = ""
    python: str = ""
    rollouts: str = ""

    @property
    def runtime(self) -> dict[str, Any]:
        """The settings that were not chosen by measuring, as summary.json holds them."""
        versions = {name: getattr(self, name) for name in VERSIONS}
        named = {name: getattr(self, name) for name in ("kernels", "rollouts", "products", "allocator")}
        return {**named, "versions": versions}


def kept(values: Mapping[str, Any]) -> Settings:
    """Return the settings of a checkpoint, without settings that this version does not know."""
    return Settings(**{field.name: values[field.name] for field in fields(Settings) if field.name in values})


def recorded(settings: Settings, device: torch.device) -> Settings:
    """Return the settings as this process can have them on `device`, with the process's other means of computing."""
    return replace(
        settings,
        compile=settings.compile and can_compile(device),
        threads=torch.get_num_threads(),
        kernels=kernels.name() if device.type == "cpu" else "none",
        rollouts=_rollouts(settings.precision, device),
        **state.recorded(),
    )


def _rollouts(precision: str, device: torch.device) -> str:
    if device.type != "cpu":
        return "none"
    return (bf16_by() if precision == "bf16" else None) or "fp32"


def difference(kept: Settings, now: Settings) -> str | None:
    """Return a line on the settings of a resumed run that differ from before and so change bits; None where none is
    known to differ."""
    found = []
    for field in fields(Settings):
        before, after = getattr(kept, field.name), getattr(now, field.name)
        if before != after and before != "":
            found.append(f"{field.name} {after} (was {before})")
    if not found:
        return None
    return f"the weights will differ in their last bits from a run that was not interrupted: {', '.join(found)}"


def choose(
    config: TrainConfig,
    model: Model,
    objective: Objective,
    sample: Callable[[], Batch],
    budget: Budget,
    notify: Callable[[str], None],
) -> Settings:
    """Choose settings for `model` on its device, and print each choice that was made by measuring. `sample()` gives a
    batch of the run, with which an eager step is timed; the weights are not changed."""
    device = next(model.parameters()).device
    threads = configure_threads(config.threads)
    # Clipped norms of single examples need fp32.
    precision = choose_precision("fp32" if config.privacy else config.precision, device, threads)
    notify(f"{device.type}, {counted(threads)}, {precision.reason}")
    length = row_length(sample(), model.config.context_length)
    tokens = config.micro_batch_tokens or MICRO_TOKENS[device.type]
    rows = max(1, min(tokens, config.batch_tokens) // length)
    settings = Settings(precision.name, False, rows, threads)
    if device.type == "cuda" and config.micro_batch_tokens is None:
        settings = _fitting(model, objective, sample(), settings)
        notify(f"{settings.micro_batch_rows} rows of {length} tokens a pass, the most that memory holds")
    if config.compile is True and not can_compile(device):
        notify("train.compile=true, but no compiler was found (install g++); training continues uncompiled")
    if config.compile is False or config.privacy is not None or not can_compile(device):
        return settings
    compile_it = config.compile is True or _repays(model, objective, sample(), settings, budget, notify)
    return replace(settings, compile=compile_it)


def row_length(batch: Batch, context_length: int) -> int:
    """Return the positions of a full row of a run, over all its sequences. A batch may be shorter: it is cut to its
    longest document, and to its longest prompt before completions are generated (see passes)."""
    tokens = batch.get("tokens")
    sequences = tokens.shape[1] if tokens is not None and tokens.dim() == 3 else 1
    return max(batch.length, context_length) * sequences


def passes(batch: Batch, settings: Settings, context_length: int) -> list[Batch]:
    """Return the micro-batches of a batch. `micro_batch_rows` are rows of a whole context: of shorter rows a pass has
    as many more as fit into one."""
    return batch.split(settings.micro_batch_rows * max(1, context_length // batch.length))


def _fitting(model: Model, objective: Objective, batch: Batch, settings: Settings) -> Settings:
    """Return the settings with the rows a pass halved until they fit into memory. Room is left for the optimiser's
    state, which does not exist yet: two moments of four bytes a parameter. Raises TrainingError where not one row
    fits."""
    rows = settings.micro_batch_rows
    while rows:
        settings = replace(settings, micro_batch_rows=rows)
        try:
            trained = [p for p in model.parameters() if p.requires_grad]
            moments = [torch.empty_like(p, dtype=torch.float32) for p in trained for _ in range(2)]
            _eager_seconds(model, objective, batch, settings)
        except torch.OutOfMemoryError:
            model.zero_grad(set_to_none=True)
            moments = []
            rows //= 2
        else:
            del moments
            return settings
    raise TrainingError(
        f"not even one row of {batch.length} tokens fits into the device's memory",
        "try train.activation_checkpointing=true, a shorter model.context_length or a smaller model.style",
    )


def _repays(
    model: Model,
    objective: Objective,
    batch: Batch,
    settings: Settings,
    budget: Budget,
    notify: Callable[[str], None],
) -> bool:
    """Whether the rest of the run, at the speed of an eager step, is long enough to repay compilation."""
    seconds = budget.seconds or float("inf")
    if budget.steps is not None:
        seconds = min(seconds, budget.steps * _eager_seconds(model, objective, batch, settings))
    compile_it = seconds > REPAYS_SECONDS
    verb = "compiling" if compile_it else "not compiling"
    notify(f"{verb}: about {duration(seconds)} of training (compiling repays from {duration(REPAYS_SECONDS)})")
    return compile_it


def _eager_seconds(model: Model, objective: Objective, batch: Batch, settings: Settings) -> float:
    """Seconds of one step: of its preparation, and of its passes, by the faster of two."""
    device = next(model.parameters()).device
    enabled = settings.precision == "bf16"
    began = time.perf_counter()
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled):
        minibatch = next(iter(objective.minibatches(objective.prepared(batch.to(device)))))
    preparing = time.perf_counter() - began
    parts = passes(minibatch, settings, model.config.context_length)
    best = float("inf")
    for _ in range(2):
        began = time.perf_counter()
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled):
            loss = objective.loss(parts[0])
        loss.total.backward()
        loss.total.item()
        best = min(best, time.perf_counter() - began)
    model.zero_grad(set_to_none=True)
    return preparing + best * len(parts)
