"""`lilliput score`: the classes of texts by a classifier, or their rewards by a reward model."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from lilliput.cli.options import Device, Json, Model

LIKELIEST = 3
"""Classes that are printed of each text."""
WIDEST = 60
"""Characters of each text that are printed."""


def score(
    model: Model,
    texts: Annotated[list[str] | None, typer.Argument(help="Texts; without them, the lines of the input.")] = None,
    file: Annotated[Path | None, typer.Option(help="Score each line of this file.")] = None,
    prompt: Annotated[str | None, typer.Option(help="The request that each text replies to (a reward model).")] = None,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Score texts: the probabilities of their classes by a classifier, or their rewards by a reward model."""
    from lilliput import api
    from lilliput.base import console

    console.use_json(json)
    found = api.score(model, _texts(texts, file), prompt=prompt, device=device, notify=console.print_line)
    if json:
        console.emit({"model": model, "scores": found})
        return
    for row in found:
        text = " ".join(row["text"].split())
        console.print_line(f"{_answer(row)}  {text if len(text) <= WIDEST else f'{text[:WIDEST]} ...'}")


def _texts(texts: list[str] | None, file: Path | None) -> list[str]:
    """Return the given texts, or the lines of the file or of the input that are not blank. Raises ConfigError."""
    from lilliput.base.errors import ConfigError

    if texts and file is not None:
        raise ConfigError("texts are named, and a file of texts too", "give the texts or --file, not both")
    if texts:
        return texts
    if file is None and sys.stdin.isatty():
        raise ConfigError(
            "no text is named", 'give texts: lilliput score RUN "a text"; or a file of lines: --file FILE'
        )
    try:
        content = sys.stdin.read() if file is None else file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ConfigError(f"{file or 'the input'} is not UTF-8", "convert it to UTF-8") from None
    if not (lines := [line for line in content.splitlines() if line.strip()]):
        raise ConfigError(f"{file or 'the input'} holds no text", "give a text in each line")
    return lines


def _answer(row: Mapping[str, Any]) -> str:
    if "probabilities" not in row:
        return f"{row.get('reward', row.get('score')):8.3f}"
    shares = sorted(row["probabilities"].items(), key=lambda pair: -pair[1])
    return ", ".join(f"{name} {share:.3f}" for name, share in shares[:LIKELIEST])
