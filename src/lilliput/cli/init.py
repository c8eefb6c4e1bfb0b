"""`lilliput init`: ask for purpose, text, machine and time, and write a recipe whose comments give the reasons."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from lilliput.cli.texts import Data, sort_words


def init(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[OUTPUT.yaml] [WORDS]...",
            help="The recipe to write, own.yaml unless given. With --data also further paths, and data.key=value.",
            show_default=False,
        ),
    ] = None,
    purpose: Annotated[str | None, typer.Option(help="stories, endings or text.")] = None,
    data: Data = None,
    machine: Annotated[
        str | None, typer.Option(help="this (measured), t4, rtx4090, a100, h100, or its FLOP/s, such as 2e11.")
    ] = None,
    time: Annotated[str | None, typer.Option(help="The time that the run may train: 90s, 10m, 2h, 1.5d.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object, and ask nothing.")] = False,
) -> None:
    """Write a commented recipe. Asks for the purpose, text, machine and time that no option gives."""
    from lilliput.base import console, units
    from lilliput.planning.beginning import begin

    console.use_json(json)
    asks = sys.stdin.isatty() and not json
    purpose = purpose or _ask(asks, "What for: stories, endings or text", "text" if data else "stories")
    output, assignments, texts = _sorted(words or [], data)
    texts = texts or [_ask(asks, "From what text: files, a folder, hf:NAME, or the built-in 'story'", "story")]
    machine = machine or _ask(asks, "On what machine: this, t4, rtx4090, a100, h100, or FLOP/s", "this")
    seconds = units.seconds(time or _ask(asks, "For how long", "3m"))
    chosen = begin(
        output,
        purpose=purpose,
        data=[] if texts == ["story"] else texts,
        fit=assignments,
        machine=machine,
        seconds=seconds,
        force=force,
        notify=console.print_line,
    )
    if json:
        console.emit({"path": output, **chosen.as_dict()})
        return
    console.print_line(output.read_text(encoding="utf-8").rstrip())
    console.print_line()
    console.print_line(f"next:\n  {console.command()} plan {output}\n  {console.command()} train {output}")


def _sorted(words: list[str], data: list[str] | None) -> tuple[Path, list[str], list[str]]:
    """Return the recipe to write, overrides of the data section, and the paths of the text.

    The recipe is the first word that ends in .yaml or .yml. Without --data the recipe is the only word allowed."""
    from lilliput.base.errors import ConfigError

    named = [word for word in words if Path(word).suffix in (".yaml", ".yml")]
    output, rest = named[:1], [word for word in words if word not in named[:1]]
    if rest and not data:
        if output or len(rest) > 1:
            raise ConfigError(f"{' '.join(rest)}: init writes one recipe", "name text with --data")
        output, rest = rest, []
    assignments, texts = sort_words(rest, data)
    return Path(output[0] if output else "own.yaml"), assignments, texts


def _ask(asks: bool, question: str, default: str) -> str:
    return typer.prompt(question, default=default) if asks else default
