"""What follows --data, alike in every command that takes it: paths, globs that a shell spelled out, overrides."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

HELP = "Text of your own: files, folders, globs, or hf:NAME; 'story' is the built-in world. More paths may follow."
FIT = "Further paths, and data.key=value such as data.sources.0.column=body."

Data = Annotated[list[str] | None, typer.Option(help=HELP)]
NeededData = Annotated[list[str], typer.Option(help=HELP)]
Words = Annotated[list[str] | None, typer.Argument(help=FIT, show_default=False)]


def sort_words(words: Sequence[str] | None, data: Sequence[str] | None) -> tuple[list[str], list[str]]:
    """Overrides and data paths. A shell spells `--data *.txt` out, so that all files but the first come as plain
    words: with --data a word without '=', or one that names a file, is one more path."""
    paths = [word for word in words or () if data and ("=" not in word or Path(word).exists())]
    return [word for word in words or () if word not in paths], [*(data or ()), *paths]
