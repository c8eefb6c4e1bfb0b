"""Forgetting: bits per byte on the text that the first weights of a run were trained on, before and after the run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lilliput.assembly.assembly import dataset
from lilliput.assembly.recipe import Recipe, recipe_of
from lilliput.base.errors import ConfigError, LilliputError
from lilliput.data.tokenizer import Tokenizer
from lilliput.evaluation.bits_per_byte import bits_per_byte, fixed_set
from lilliput.objectives.figure import BITS
from lilliput.runs.names import OLD_DOMAIN

if TYPE_CHECKING:
    from lilliput.assembly.assembly import Assembly


def forgetting(assembly: Assembly) -> dict[str, Any]:
    """Return the entry `old_domain` of summary.json: the source run's name, and the bits per byte of the first and of
    the present weights on its validation split (`evaluate.final_tokens` of it), with their difference; or `why_not`, a
    sentence. Empty for a run that began from nothing, and where `evaluate.old_domain` is false."""
    source = assembly.recipe.init.from_
    if source is None or not assembly.recipe.evaluate.old_domain:
        return {}
    try:
        old = recipe_of(source)
        return {OLD_DOMAIN: {"name": old.name, **_scores(assembly, old)}}
    except (LilliputError, OSError) as error:
        reason = error.message if isinstance(error, LilliputError) else str(error)
        assembly.notify(f"what was forgotten of the old text is not measured: {reason}")
        return {OLD_DOMAIN: {"why_not": reason}}


def _scores(assembly: Assembly, old: Recipe) -> dict[str, float]:
    """Raises LilliputError where the first weights or their text cannot be had, or have no bits per byte here."""
    if old.objective.figure != BITS:
        raise ConfigError(f"the objective '{old.objective.kind}' of {old.name} is not judged by bits per byte of text")
    first = assembly.beginning.initial()
    assembly.notify(f"measuring bits per byte on the text of {old.name}, before and after ...")
    data = dataset(old, assembly.notify)
    _check_ids(data.tokenizer, assembly.tokenizer, Path(str(assembly.recipe.init.from_)))
    split = data.split("validation")
    texts = fixed_set(split, data.tokenizer.token_bytes(), assembly.recipe.evaluate.final_tokens)
    before, after = (bits_per_byte(model, texts).bits_per_byte for model in (first.model, assembly.model))
    return {"before": before, "after": after, "difference": after - before}


def _check_ids(old: Tokenizer, new: Tokenizer, source: Path) -> None:
    """Raise ConfigError unless every id of the old text is the same token for the model now and as it began."""
    for tokenizer in (Tokenizer.load(source), new):
        if not tokenizer.extends(old):
            raise ConfigError("the old text's tokens are not those of this run's tokenizer")
