"""`lilliput serve`: an OpenAI-compatible API and a page to use in a browser, for one model or several."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from lilliput.cli.options import Device


def serve(
    runs: Annotated[list[str], typer.Argument(help="Runs, checkpoints or Hugging Face folders.")],
    adapter: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=FOLDER", help="An adapter of the model, served beside it as NAME; may be given several times."
        ),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen at; beyond this machine only with a key.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any free port.")] = 8000,
    api_key: Annotated[
        str | None,
        typer.Option(
            envvar="LILLIPUT_API_KEY",
            show_envvar=True,
            help="The key that requests must carry. Prefer the variable: other users can read a command line.",
        ),
    ] = None,
    slots: Annotated[int, typer.Option(min=1, help="Number of texts that each model generates at once.")] = 32,
    queue: Annotated[
        int, typer.Option(min=0, help="Number of further texts that may wait; further requests get 429.")
    ] = 256,
    int8: Annotated[bool, typer.Option("--int8", help="Use int8 weights: faster on a CPU, texts may differ.")] = False,
    device: Device = "auto",
) -> None:
    """Serve models: an API, and a page for the browser. The API is at /v1, the page at /."""
    from lilliput import api
    from lilliput.base import console

    def notify(text: str) -> None:
        console.print_line(text)
        sys.stdout.flush()  # a program that reads the address from a pipe gets it at once

    api.serve(
        runs,
        device,
        notify,
        int8,
        adapters_of(adapter or []),
        host=host,
        port=port,
        api_key=api_key,
        slots=slots,
        queue=queue,
    )


def adapters_of(words: list[str]) -> dict[str, str]:
    """Return the adapters by name: ["kind=runs/kind"] gives {"kind": "runs/kind"}. Raises ConfigError for a word of
    another form, and for a name that is given twice."""
    from lilliput.base.errors import ConfigError

    found: dict[str, str] = {}
    for word in words:
        name, equals, folder = word.partition("=")
        if not equals or not name or not folder:
            raise ConfigError(f"'{word}' is not an adapter", "write --adapter NAME=FOLDER")
        if name in found:
            raise ConfigError(f"two adapters are called '{name}'", "requests choose an adapter by its name")
        found[name] = folder
    return found
