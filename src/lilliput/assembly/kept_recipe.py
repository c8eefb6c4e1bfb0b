"""The recipe of a run in its checkpoints, under their hash: recipe.yaml is a file that a person may change."""

from __future__ import annotations

from typing import Any

from lilliput.assembly.recipe import Recipe
from lilliput.runs import checkpoint
from lilliput.runs.run_folder import RunFolder
from lilliput.training.callbacks import Callback


class KeptRecipe(Callback):
    """Keeps every value of the recipe in each checkpoint."""

    def __init__(self, recipe: Recipe):
        self.recipe = recipe

    def state(self) -> dict[str, Any]:
        return {"recipe": self.recipe.model_dump(mode="json")}


def kept_recipe(run: RunFolder) -> dict[str, Any] | None:
    """Return the values in the newest good checkpoint; None without a checkpoint, and for an earlier version's
    checkpoint."""
    return checkpoint.newest_state(run, KeptRecipe.__name__).get("recipe")
