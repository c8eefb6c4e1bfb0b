"""The band of losses that belongs to a recipe: that of the shipped recipe with the same values, or none and why."""

from __future__ import annotations

from lilliput.assembly.recipe import Recipe
from lilliput.base.config import validate
from lilliput.base.differences import differences, differing
from lilliput.base.errors import ConfigError, FileError
from lilliput.base.shipped import bands_files
from lilliput.runs.bands import Bands, Values, decisive, read_bands


def bands_of(recipe: Recipe) -> tuple[Bands | None, str]:
    """Return the band of the shipped recipe whose runs had the values of `recipe`. Without one, return None and the
    reason: how the recipe differs from the nearest shipped one."""
    reasons: list[tuple[int, str]] = []
    for name, path in bands_files().items():
        try:
            bands = read_bands(path)
            there = resolved(bands)
        except (OSError, FileError, ConfigError) as error:
            reasons.append((0, f"{path.name} cannot be used: {error}"))
            continue
        here = decisive(recipe.model_dump(mode="json"))
        if there != here:
            count = len(list(differences(there, here)))
            reasons.append((count, differing(there, here, words=f"{{}} in the runs of {name}, {{}} here")))
        elif bands.texts != texts(recipe):
            reasons.append((1, f"the text of {name} is made by another version"))
        else:
            return bands, ""
    return None, min(reasons)[1] if reasons else "no shipped recipe has one"


def resolved(bands: Bands) -> Values:
    """Return the values that decide the losses, with the defaults of keys that are newer than the file. Raises
    ConfigError where this version does not know a key."""
    return decisive(validate(Recipe, bands.recipe, f"the band of {bands.name}").model_dump(mode="json"))


def texts(recipe: Recipe) -> tuple[str, ...]:
    """Return the fingerprints of the recipe's sources."""
    return tuple(source.fingerprint() for source in recipe.data.sources)
