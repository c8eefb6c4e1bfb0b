"""The figures of a classifier or a reward model on the held-out rows of its run, beside simple answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from lilliput.assembly.assembly import dataset
from lilliput.assembly.recipe import recipe_of
from lilliput.base.console import print_line
from lilliput.base.statistics import wilson
from lilliput.generation.scoring import load_with_head
from lilliput.objectives.workshop import HeldOut, TextScore, Workshop
from lilliput.runs.evaluation_file import keep_evaluation


def evaluate_held_out(
    path: str | Path,
    *,
    baselines: bool = True,
    device: str = "auto",
    max_tokens: int | None = None,
    notify: Callable[[str], None] = print_line,
) -> dict[str, Any]:
    """Measure the classifier or reward model at `path` (a run or its checkpoint) anew on the held-out rows of its run:
    the figures that summary.json holds, by their names there, and `baselines`.

    `accuracies` gives the accuracy of a classifier and of each baseline with its 95% interval (Wilson), by name.
    `max_tokens` measures a fixed part of the rows; None: as many as the end of the run did. A whole run's figures are
    kept in its evaluation.json. Raises ConfigError for a model without a head, or that belongs to no run."""
    recipe = recipe_of(path)
    objective, model, head, tokenizer = load_with_head(path, device, notify)
    made = dataset(recipe, notify)
    learner = objective.build(Workshop(tokenizer, model, next(model.parameters()).device, recipe.seed))
    own = learner.stock_head()
    assert own is not None, "an objective that scores texts has a head"
    own.load_state_dict(head.state_dict())

    def no_text() -> TextScore:
        raise AssertionError("a model with a head models no text")

    length = model.config.context_length
    loader = made.loader("validation", length, objective.rows, seed=0)
    limit = recipe.evaluate.final_tokens if max_tokens is None else max_tokens
    held = HeldOut(lambda: loader, limit, no_text)
    found: dict[str, Any] = dict(learner.evaluate(held))
    if baselines:
        found["baselines"] = learner.baselines(made.loader("train", length, objective.rows), held)
    if "val_accuracy" in found:
        found["accuracies"] = _accuracies(found, held.rows(loader))
    keep_evaluation(path, "held_out", found)
    return found


def _accuracies(found: dict[str, Any], items: int) -> dict[str, dict[str, float]]:
    """The accuracy of the model and of the baselines on `items` rows, each with its interval."""
    shares = {"this model": found["val_accuracy"]}
    shares |= {name: 1 - error for name, error in found.get("baselines", {}).items()}
    intervals = {name: wilson(round(share * items), items) for name, share in shares.items()}
    return {
        name: {"accuracy": share, "low": intervals[name][0], "high": intervals[name][1]}
        for name, share in shares.items()
    }
