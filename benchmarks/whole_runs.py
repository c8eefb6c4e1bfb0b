"""Runs of a study: trained to their end, or found finished. Figures of a run that was interrupted would be wrong."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lilliput
from lilliput.base.errors import ConfigError


def train_whole(recipe: str | Path, overrides: Sequence[str], **given: Any) -> Path:
    """Train a run by `lilliput.train(recipe, overrides, **given)`, or find it finished. Returns its folder. Raises
    ConfigError for a run that was interrupted."""
    run = lilliput.train(recipe, overrides, **{"notify": lambda text: None, "live": False, **given})
    if not run.summary:
        raise ConfigError(
            f"the run {run.path.name} was interrupted", "repeat the command: it goes on where the run ended"
        )
    return run.path
