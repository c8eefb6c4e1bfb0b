"""Generating texts by the path of a model: the generator of generation/, steered by features where some are named."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lilliput.generation.loading import load
from lilliput.lens.steering import steered


def generate(
    path: str | Path,
    opening: str | None = None,
    ending: str | None = None,
    device: str = "auto",
    steer: Sequence[str] = (),
    **options: Any,
) -> list[str]:
    """Generate texts with the model at `path`; a short form of `load(path).generate(...)`. `options` are the fields of
    SamplingConfig, and `prefix` and `suffix` for a model that fills in the middle (objective.kind=fim).

    `steer` holds features to add while the model generates, each 'FOLDER:FEATURE=STRENGTH' (see `lens.steering`).
    Raises the errors of `load`, and ConfigError for a feature that does not fit the model.
    """
    generator = load(path, device)
    with steered(generator.model, steer):
        return generator.generate(opening, ending, **options)
