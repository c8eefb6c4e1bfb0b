"""The objective of a run or model that lies on disk, from the values that were kept of it."""

from __future__ import annotations

from typing import Any, cast

from lilliput.base.errors import ConfigError
from lilliput.base.registered import OneOf
from lilliput.objectives.objective import BITS, OBJECTIVES, Figure, ObjectiveConfig


def objective_of(values: Any) -> ObjectiveConfig | None:
    """The config for `{"kind": ...}` or the name of a kind; None where these are no values of an objective."""
    try:
        return cast(ObjectiveConfig, OneOf(OBJECTIVES).build(values))
    except ValueError:
        return None


def figure_of(values: Any) -> Figure:
    """What a run of this objective is judged by: bits per byte where nothing is known of it."""
    objective = objective_of(values)
    return BITS if objective is None else objective.figure


def check_bits_per_byte(objective: ObjectiveConfig) -> None:
    """Raises ConfigError for an objective that is not judged by bits per byte of text: its runs cannot be compared by
    it."""
    if objective.figure != BITS:
        raise ConfigError(
            f"this compares runs by bits per byte of text, and the objective '{objective.kind}' is judged by "
            f"{objective.figure.unit}",
            "compare its runs by hand: lilliput report RUN",
        )
