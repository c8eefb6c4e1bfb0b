"""`lilliput evaluate`: bits per byte of a model on held-out text."""

from __future__ import annotations

from typing import Annotated

import typer


def evaluate(
    model: Annotated[str, typer.Argument(help="A run's name or folder, a checkpoint, or a Hugging Face folder.")],
    data: Annotated[
        list[str] | None,
        typer.Option(help="Score these documents instead of the run's own validation split."),
    ] = None,
    max_tokens: Annotated[int | None, typer.Option(help="Score a fixed part of about this many tokens.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Score a model: bits per byte and perplexity, every document from its start, every token once."""
    from dataclasses import asdict

    from lilliput import api
    from lilliput.base import console

    console.use_json(json)
    score = api.evaluate(model, data or [], device=device, max_tokens=max_tokens)
    if json:
        console.emit({"model": model, **asdict(score)})
        return
    console.say(f"{score.bits_per_byte:.4f} bits per byte, perplexity {score.perplexity:.3f} a token")
    console.say(f"{score.tokens:,} tokens of {score.bytes:,} bytes in {score.seconds:.1f} s, stride {score.stride}")
