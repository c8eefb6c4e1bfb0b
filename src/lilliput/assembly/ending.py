"""The end of a run, as summary.json: the final score beside its baselines, a story, and the cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from lilliput import __version__
from lilliput.assembly.forgetting import forgetting
from lilliput.base.energy import estimate
from lilliput.base.files import sha256
from lilliput.base.machine import cores, device_name, matmul_peak, peak_memory
from lilliput.evaluation.ngram import baselines
from lilliput.model.counts import parameters, training_flops
from lilliput.objectives.figure import BITS
from lilliput.objectives.known import facts
from lilliput.runs.bands import last_place
from lilliput.runs.names import (
    BAND,
    PEAK_MEMORY_BYTES,
    PRIVACY,
    TOKENS_PER_SECOND,
    TRAINING_SECONDS,
    VAL_HERO_KEPT,
    VAL_HEROES,
    VAL_LOSS,
    VAL_TOKENS,
)

if TYPE_CHECKING:
    from lilliput.assembly.assembly import Assembly
    from lilliput.training.outcome import RunOutcome
    from lilliput.training.trainer import Trainer


def conclude(assembly: Assembly, trainer: Trainer, outcome: RunOutcome) -> dict[str, Any]:
    """Return summary.json of a run that ended with this outcome. The names of the numbers give their units."""
    recipe = assembly.recipe
    figure = recipe.objective.figure
    with trainer.autocast():
        found = assembly.evaluate(recipe.evaluate.final_tokens)
        story = _story(assembly)
        heroes = recipe.evaluate.final_heroes if assembly.knows_stories else 0
        forgotten = forgetting(assembly)
        kept = {VAL_HERO_KEPT: assembly.heroes_kept(heroes), VAL_HEROES: heroes} if heroes else {}
    work = _work(assembly, trainer)  # before n-grams are counted, so that they do not count as memory of training
    ngrams = _baselines(assembly)
    return {
        "name": recipe.name,
        "lilliput": __version__,
        "model": recipe.model.style or "custom",
        **facts(recipe.objective),
        **assembly.beginning.summary(),
        "stopped": outcome.text,
        "verdict": assembly.evaluation.verdict(trainer, ngrams, found[figure.validation]),
        **{name: value for name, value in found.items() if name == figure.validation or name != VAL_LOSS},
        **_targets(assembly),
        **kept,
        **forgotten,
        **_band(assembly, trainer),
        "baselines": ngrams,
        **work,
        **({PRIVACY: trainer.private.plan.summary(trainer.step)} if trainer.private else {}),
        "data": _data(assembly),
        **story,
        "sha256": sha256(assembly.run.checkpoint(trainer.step) / "model" / "model.safetensors"),
    }


def _story(assembly: Assembly) -> dict[str, Any]:
    """Return a text from the first prompt, and nothing for an objective that generates no text."""
    if not assembly.recipe.objective.generates:
        return {}
    (story,) = assembly.samples(assembly.prompts[:1])
    return {"story": {"prompt": story.prompt, "text": story.before + story.prompt + story.text}}


def _targets(assembly: Assembly) -> dict[str, int]:
    """Return the number of tokens of text on which the final figure was measured."""
    if assembly.recipe.objective.figure != BITS:
        return {}
    return {VAL_TOKENS: assembly.fixed_set(assembly.recipe.evaluate.final_tokens).targets}


def _band(assembly: Assembly, trainer: Trainer) -> dict[str, Any]:
    """Return where the last evaluation lies beside the runs of the shipped recipe; nothing for another recipe."""
    bands = assembly.bands
    place = last_place(bands, trainer.counters.progress, assembly.run.read_metrics()) if bands else None
    return {BAND: place.as_dict()} if place else {}


def _baselines(assembly: Assembly) -> dict[str, float]:
    """Return the bits per byte of n-gram models counted on the same training tokens, on the same validation targets.
    For an objective that is not judged by bits per byte of text, return its own baselines."""
    config = assembly.recipe.evaluate
    if assembly.recipe.objective.figure != BITS:
        return assembly.baselines(config.final_tokens)
    if not config.baselines:
        return {}
    assembly.notify("counting the n-gram baselines ...")
    validation = assembly.fixed_set(config.final_tokens)
    return baselines(assembly.train_split, validation, assembly.tokenizer.vocab_size, config.baselines)


def _work(assembly: Assembly, trainer: Trainer) -> dict[str, Any]:
    """Return tokens, time, floating-point operations, utilisation and cost."""
    config, train = assembly.model.config, assembly.recipe.train
    counters, device = trainer.counters, trainer.device
    per_token = training_flops(assembly.model, trainer.context_length)
    dtype = torch.bfloat16 if trainer.settings.precision == "bf16" else torch.float32
    speed = counters.tokens / max(counters.training_seconds, 1e-9)
    # Measured again: the machine may have been busy when it was first, and the best ever seen is what is kept.
    peak = matmul_peak(device, dtype, trainer.settings.threads, refresh=True)
    counts = parameters(config)
    cost = estimate(
        counters.seconds,
        device,
        min(cores(), trainer.settings.threads),
        energy=assembly.energy.energy,
        watts=train.watts,
        dollars_per_hour=train.dollars_per_hour,
        grams_co2_per_kwh=train.grams_co2_per_kwh,
    )
    return {
        "steps": counters.step,
        "skipped_steps": counters.skipped,
        "tokens": counters.tokens,
        "epochs": counters.position / assembly.loader.rows_per_epoch,
        "seconds": round(counters.seconds, 2),
        TRAINING_SECONDS: round(counters.training_seconds, 2),
        TOKENS_PER_SECOND: speed,
        "vocab_size": config.vocab_size,
        "parameters": counts.total,
        "parameters_embedding": counts.embedding,
        "parameters_trained": sum(one.numel() for one in assembly.model.parameters() if one.requires_grad),
        "flops": per_token * counters.tokens,
        "utilisation": per_token * speed / peak,
        "matmul_peak_flops": peak,
        "device": device_name(device),
        "precision": trainer.settings.precision,
        "threads": trainer.settings.threads,
        "compiled": trainer.settings.compile,
        **trainer.settings.runtime,
        PEAK_MEMORY_BYTES: _peak_memory(trainer),
        "kwh": cost.kwh,
        "cost": cost.as_dict(),
    }


def _peak_memory(trainer: Trainer) -> int | None:
    """Return the most memory that any process of this run held, as its metrics show; None where it is not counted."""
    logged = (record.get(PEAK_MEMORY_BYTES) for record in trainer.run.read_metrics())
    return max((peak for peak in (*logged, peak_memory(trainer.device)) if peak is not None), default=None)


def _data(assembly: Assembly) -> dict[str, Any]:
    """Return a description of the sources, and the size of each split."""
    splits = {"train": assembly.train_split, "validation": assembly.validation_split}
    sizes = {
        name: {"documents": split.documents, "tokens": split.tokens, "bytes": split.text_bytes}
        for name, split in splits.items()
    }
    return {"sources": assembly.dataset.manifest["sources"], **sizes, "tokenizer": assembly.tokenizer.sha256}
