"""Options that several commands share, and options of counts, which take units: 800k, 117m, 1.5b, 51e6."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from lilliput.base import units
from lilliput.base.errors import ConfigError

MODEL = "A run's name or folder, a checkpoint, or a Hugging Face folder."
Model = Annotated[str, typer.Argument(help=MODEL)]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
Temperature = Annotated[float, typer.Option(help="0 is greedy; at most 2.")]


def whole(*, help: str, least: int = 1) -> Any:
    """Return an option of a whole number from `least`, with units: 8k is 8,000."""

    def parse(text: object) -> int:
        return units.whole(str(text), least=least)

    return typer.Option(help=help, parser=parse, metavar="COUNT")


def amount(*, help: str) -> Any:
    """Return an option of a number above 0, with units: 117m is 117,000,000."""

    def parse(text: object) -> float:
        return units.count(str(text), "number above 0")

    return typer.Option(help=help, parser=parse, metavar="COUNT")


def amounts(text: str, option: str) -> list[float]:
    """Return the numbers of a list such as 3e11,1e12 or 16k,32k. Raises ConfigError."""
    try:
        return [units.count(part) for part in text.split(",") if part.strip()]
    except ConfigError:
        raise ConfigError(f"{option} '{text}' is not a list of numbers", f"such as {option} 1e12,3e12") from None
