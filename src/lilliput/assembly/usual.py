"""The band of losses that belongs to a recipe: that of the shipped recipe with the same values, or none and why."""

from __future__ import annotations

from lilliput.assembly.origin import CHANGEABLE
from lilliput.assembly.recipe import Recipe, load
from lilliput.base.config import validate
from lilliput.base.differences import differences, differing
from lilliput.base.errors import ConfigError, FileError, LilliputError
from lilliput.base.reading import inner
from lilliput.base.shipped import bands_files
from lilliput.runs.bands import Bands, Values, decisive, hash_of, read_bands
from lilliput.runs.finding import model_folder
from lilliput.runs.names import CHECKPOINTS
from lilliput.runs.run_folder import RunFolder
from lilliput.training.outcome import FINISHED

MODELS = ("teacher", "reference")
"""Keys of the section `objective` that name another run's model."""


def bands_of(recipe: Recipe) -> tuple[Bands | None, str]:
    """Return the band of the shipped recipe whose runs had the values of `recipe`. Without one, return None and the
    reason: how the recipe differs from the nearest shipped one."""
    here, reasons = values_of(recipe), list[tuple[int, str]]()
    for name, path in bands_files().items():
        try:
            bands = read_bands(path)
            there = resolved(bands)
        except (OSError, FileError, ConfigError) as error:
            reasons.append((0, f"{path.name} cannot be used: {error}"))
            continue
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
    return values_of(validate(Recipe, bands.recipe, f"the band of {bands.name}"))


def values_of(recipe: Recipe) -> Values:
    """Return the values that decide the losses. In place of the model that a run begins with, and of a teacher or a
    reference, they have its lineage. The model's shape and its tokenizer come with it, and are left out then. A
    tokenizer that was taken from a run, such as the teacher's, has that run's lineage in place of its folder."""
    values = decisive(recipe.model_dump(mode="json"))
    source = recipe.init.from_
    if source is not None:
        values["init"] = {"from": lineage(source)}
        values["model"] = {key: values["model"][key] for key in CHANGEABLE}
        del values["tokenizer"]
    elif recipe.tokenizer.path is not None:
        values["tokenizer"] = {**values["tokenizer"], "path": lineage(str(recipe.tokenizer.path))}
    named = {key: value for key in MODELS if isinstance(value := values["objective"].get(key), str)}
    values["objective"] = {**values["objective"], **{key: lineage(value) for key, value in named.items()}}
    return values


def lineage(path: str) -> str:
    """Return the hash of all that decided the weights of the last checkpoint of a finished run, its seed apart: its
    recipe, its texts, and the lineage of the model that it began with. Return another path as it is."""
    try:
        folder = model_folder(path, lambda text: None)
    except LilliputError:
        return path
    if folder.parent.parent.name != CHECKPOINTS:
        return path
    run = RunFolder(folder.parent.parent.parent)
    summary = run.read_summary()
    if summary.get("stopped", "") != FINISHED.text or folder.parent.name != f"step-{summary.get('steps', -1):07d}":
        return path
    try:
        recipe = load(run.recipe)
    except LilliputError:
        return path
    read = [source.get("fingerprint") for source in inner(summary, "data").get("sources", ())]
    return hash_of({"recipe": values_of(recipe), "texts": read})


def texts(recipe: Recipe) -> tuple[str, ...]:
    """Return the fingerprints of the recipe's sources."""
    return tuple(source.fingerprint() for source in recipe.data.sources)
