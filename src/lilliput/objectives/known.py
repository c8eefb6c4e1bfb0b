"""The objective of a run or model on disk, from the values in its files.

Reports use this file. The registry imports PyTorch, so it is loaded only where the values are not enough."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, cast

from lilliput.base.errors import ConfigError
from lilliput.objectives.figure import BITS, Figure

if TYPE_CHECKING:
    from lilliput.objectives.objective import ObjectiveConfig


def objective_of(values: Any) -> ObjectiveConfig | None:
    """The config for `{"kind": ...}` or the name of a kind; None where the values describe no objective."""
    if values is None:
        return None
    from lilliput.base.registered import OneOf
    from lilliput.objectives.objective import OBJECTIVES, ObjectiveConfig

    try:
        return cast(ObjectiveConfig, OneOf(OBJECTIVES).build(values))
    except ValueError:
        return None


def facts(objective: ObjectiveConfig) -> dict[str, Any]:
    """The values of an objective that summary.json keeps, so that a report needs no objective."""
    return {
        "objective": objective.model_dump(mode="json"),
        "figure": asdict(objective.figure),
        "generates": objective.generates,
    }


def figure_of(kept: Mapping[str, Any]) -> Figure:
    """The figure by which a run is judged, from its summary or its recipe: the kept `figure`, else the figure of its
    `objective`, else bits per byte."""
    try:
        return Figure(**{name: str(value) for name, value in kept["figure"].items()})
    except (KeyError, AttributeError, TypeError):  # an earlier version's summary, or a recipe
        objective = objective_of(kept.get("objective"))
    return BITS if objective is None else objective.figure


def generates(kept: Mapping[str, Any]) -> bool:
    """Whether a run's model generates text, from its summary or its recipe; true where nothing is known of it."""
    if isinstance(kept.get("generates"), bool):
        return bool(kept["generates"])
    objective = objective_of(kept.get("objective"))
    return objective is None or objective.generates


def check_bits_per_byte(objective: ObjectiveConfig) -> None:
    """Raise ConfigError for an objective that is not judged by bits per byte of text, because bits per byte cannot
    compare its runs."""
    if objective.figure != BITS:
        raise ConfigError(
            f"this command compares runs by bits per byte of text, and the objective '{objective.kind}' is judged by "
            f"{objective.figure.unit}",
            "compare its runs by hand: lilliput report RUN",
        )
