"""`lilliput init`: asks for purpose, text, machine and time, and writes a recipe that says why."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer


def init(
    output: Annotated[Path, typer.Argument(help="The recipe to write.")] = Path("own.yaml"),
    more: Annotated[list[str] | None, typer.Argument(help="With --data: further paths.", show_default=False)] = None,
    purpose: Annotated[str | None, typer.Option(help="stories, endings or text.")] = None,
    data: Annotated[list[str] | None, typer.Option(help="Text of your own, or 'story' for the built-in world.")] = None,
    machine: Annotated[
        str | None, typer.Option(help="this (measured), t4, rtx4090, a100, h100, or its FLOP/s, such as 2e11.")
    ] = None,
    time: Annotated[str | None, typer.Option(help="How long it may train: 90s, 10m, 2h, 1.5d.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object, and ask nothing.")] = False,
) -> None:
    """Write a commented recipe. Purpose, text, machine and time that are not given are asked for."""
    from lilliput.api.beginning import begin
    from lilliput.base import console, units
    from lilliput.base.errors import ConfigError

    console.use_json(json)
    asks = sys.stdin.isatty() and not json
    purpose = purpose or _ask(asks, "What for: stories, endings or text", "text" if data else "stories")
    if more and not data:
        raise ConfigError(f"{' '.join(more)}: one recipe is written at a time", "name text with --data")
    texts = [*(data or ()), *(more or ())]
    texts = texts or [_ask(asks, "From what text: files, a folder, hf:NAME, or the built-in 'story'", "story")]
    machine = machine or _ask(asks, "On what machine: this, t4, rtx4090, a100, h100, or FLOP/s", "this")
    seconds = units.seconds(time or _ask(asks, "For how long", "3m"))
    chosen = begin(
        output,
        purpose=purpose,
        data=[] if texts == ["story"] else texts,
        machine=machine,
        seconds=seconds,
        force=force,
        say=console.say,
    )
    if json:
        console.emit({"path": output, **chosen.as_dict()})
        return
    console.say(output.read_text(encoding="utf-8").rstrip())
    console.say()
    console.say(f"next:\n  {console.command()} plan {output}\n  {console.command()} train {output}")


def _ask(asks: bool, question: str, default: str) -> str:
    return typer.prompt(question, default=default) if asks else default
