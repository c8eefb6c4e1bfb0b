"""`lilliput fill`: the likeliest tokens at the masks of a text, by an encoder."""

from __future__ import annotations

from typing import Annotated

import typer

from lilliput.cli.options import Device, Json, Model


def fill(
    model: Model,
    text: Annotated[str, typer.Argument(help="A text with [MASK] or ___ for each hidden token.")],
    top: Annotated[int, typer.Option(help="List this many tokens of each mask.")] = 5,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Fill in the masks of a text by a model that reads both sides, and print the likeliest tokens of each mask."""
    from lilliput import api
    from lilliput.base import console

    console.use_json(json)
    found = api.fill(model, text, top=top, device=device, notify=console.aside)
    if json:
        console.emit({"model": model, **found})
        return
    console.print_line(found["filled"])
    for number, mask in enumerate(found["masks"], start=1):
        listed = ", ".join(
            f"{each['token'].strip() or repr(each['token'])} {each['probability']:.3f}" for each in mask["tokens"]
        )
        console.print_line(f"mask {number}: {listed}")
