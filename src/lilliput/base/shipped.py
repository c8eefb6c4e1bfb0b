"""The recipes that come with Lilliput, as files, and the bands of losses of their runs."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

BANDS = ".bands.json"
"""The end of the name of a file of bands."""


def shipped() -> dict[str, Path]:
    """Return the names and files of the recipes that come with Lilliput."""
    return {path.stem: path for path in sorted(_folder().glob("*.yaml"))}


def bands_files() -> dict[str, Path]:
    """Return the files of bands (see runs/bands.py), by the name of the recipe whose runs they describe."""
    return {path.name.removesuffix(BANDS): path for path in sorted(_folder().glob(f"*{BANDS}"))}


def _folder() -> Path:
    return Path(str(resources.files("lilliput") / "recipes"))
