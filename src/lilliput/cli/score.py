"""`lilliput score`: the classes of texts by a classifier, their entities by a tagger, or their rewards by a reward
model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from lilliput.cli.lines import texts_of
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
    pair: Annotated[str | None, typer.Option(help="The second text of each pair (a classifier of pairs).")] = None,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Score texts: the probabilities of their classes by a classifier, their entities by a tagger, or their rewards by
    a reward model."""
    from lilliput import api
    from lilliput.base import console

    console.use_json(json)
    found = api.score(
        model, texts_of(texts, file, "score"), prompt=prompt, pair=pair, device=device, notify=console.print_line
    )
    if json:
        console.emit({"model": model, "scores": found})
        return
    for row in found:
        text = " ".join(row["text"].split())
        console.print_line(f"{_answer(row)}  {text if len(text) <= WIDEST else f'{text[:WIDEST]} ...'}")


def _answer(row: Mapping[str, Any]) -> str:
    if "entities" in row:
        return ", ".join(f"{one['type']}: {one['text']}" for one in row["entities"]) or "no entity"
    if "probabilities" not in row:
        return f"{row.get('reward', row.get('score')):8.3f}"
    shares = sorted(row["probabilities"].items(), key=lambda pair: -pair[1])
    return ", ".join(f"{name} {share:.3f}" for name, share in shares[:LIKELIEST])
