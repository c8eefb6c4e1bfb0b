"""`lilliput generate`: tell texts with a trained model, from an opening or to an ending."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from lilliput.api import Storyteller


def generate(
    model: Annotated[str, typer.Argument(help="A run's name or folder, a checkpoint, or a Hugging Face folder.")],
    opening: Annotated[str | None, typer.Argument(help="How the text begins.")] = None,
    ending: Annotated[str | None, typer.Option(help="How it ends, for a model trained in reverse.")] = None,
    temperature: Annotated[float, typer.Option(help="0 is greedy; at most 2.")] = 0.8,
    top_k: Annotated[int, typer.Option(help="Keep the k likeliest tokens; 0 keeps all.")] = 0,
    top_p: Annotated[float, typer.Option(help="Keep the likeliest tokens that hold this probability.")] = 1.0,
    min_p: Annotated[float, typer.Option(help="Keep tokens this many times as likely as the likeliest.")] = 0.0,
    repetition_penalty: Annotated[float, typer.Option(help="Above 1, repeated tokens become less likely.")] = 1.0,
    seed: Annotated[int, typer.Option(help="The same seed tells the same text.")] = 0,
    max_tokens: Annotated[int, typer.Option(help="At most this many new tokens.")] = 512,
    n: Annotated[int, typer.Option("-n", help="How many texts.")] = 1,
    window: Annotated[bool, typer.Option("--window", help="Slide on when the context is full.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Tell a text. It streams as it is told, and stops at the end of the story."""
    from lilliput import api
    from lilliput.base import console

    console.use_json(json)
    teller = api.load(model, device, say=lambda text: print(text, file=sys.stderr))
    sampling: dict[str, Any] = {
        "temperature": temperature,
        "top_k": top_k,
        "top_p": top_p,
        "min_p": min_p,
        "repetition_penalty": repetition_penalty,
        "seed": seed,
        "max_tokens": max_tokens,
    }
    if json or n != 1 or not teller.objective.reads_forwards:
        texts = teller.tell(opening, ending, window, **sampling, n=n)
        if json:
            console.emit({"model": model, "opening": opening, "ending": ending, "texts": texts})
        else:
            console.say("\n\n---\n\n".join(texts))
    else:
        _stream(teller, opening, ending, window, sampling)


def _stream(
    teller: Storyteller, opening: str | None, ending: str | None, window: bool, sampling: dict[str, Any]
) -> None:
    pieces = teller.stream(opening, ending, window, **sampling)
    sys.stdout.write(opening or "")
    for piece in pieces:
        sys.stdout.write(piece)
        sys.stdout.flush()
    sys.stdout.write("\n")
