"""The words that follow --data, parsed alike in every command: paths, globs that a shell expanded, overrides."""

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
    """Separate overrides from data paths.

    A shell expands `--data *.txt`, so all files but the first arrive as plain words. With --data, therefore, a word
    without '=' is a path, and so is a word that names an existing file. Example: `--data a.txt b.txt train.steps=5`
    gives (["train.steps=5"], ["a.txt", "b.txt"])."""
    paths = [word for word in words or () if data and ("=" not in word or Path(word).exists())]
    return [word for word in words or () if word not in paths], [*(data or ()), *paths]
