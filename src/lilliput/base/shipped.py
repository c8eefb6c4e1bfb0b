"""The recipes that come with Lilliput, as files."""

from __future__ import annotations

from importlib import resources
from pathlib import Path


def shipped() -> dict[str, Path]:
    """Return the names and files of the recipes that come with Lilliput."""
    folder = Path(str(resources.files("lilliput") / "recipes"))
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}
