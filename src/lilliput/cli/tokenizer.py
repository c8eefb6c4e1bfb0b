"""`lilliput tokenizer`: train a tokenizer, and show the tokens of a text."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from lilliput.cli.options import Json, whole
from lilliput.cli.texts import NeededData, Words, sort_words

app = typer.Typer(help="Train a tokenizer, or see the tokens of a text.", no_args_is_help=True)

# Neighbouring colours differ, and black text stays readable on each.
COLOURS = ("#a8d8ea", "#ffd3b6", "#d5ecc2", "#e0bbe4", "#fff3b0", "#ffaaa5")


@app.command("train")
def train(
    data: NeededData,
    out: Annotated[Path, typer.Option(help="The folder to write tokenizer.json and tokenizer_config.json into.")],
    words: Words = None,
    vocab_size: Annotated[int, whole(help="Number of tokens, special ones included.")] = 4096,
    kind: Annotated[str, typer.Option(help="bpe or sentencepiece.")] = "bpe",
    pattern: Annotated[str, typer.Option(help="How bpe splits text: qwen2, llama-bpe or gpt-2.")] = "qwen2",
    sample_bytes: Annotated[int, whole(help="Train on this many bytes of text at most.")] = 20_000_000,
    json: Json = False,
) -> None:
    """Train a tokenizer on text of your own."""
    from lilliput.base import console
    from lilliput.base.config import validate
    from lilliput.data.config import TokenizerConfig
    from lilliput.data.dataset import train_tokenizer
    from lilliput.data.infer import data_config

    console.use_json(json)
    values = {"vocab_size": vocab_size, "kind": kind, "pattern": pattern, "sample_bytes": sample_bytes}
    config = validate(TokenizerConfig, values, "the command line")
    assignments, paths = sort_words(words, data)
    # A tokenizer is not validated on held-out text, so it trains on every document.
    everything = data_config(paths, assignments, validation_fraction=0)
    for source in everything.sources:
        console.print_line(source.describe())
    tokenizer, seen = train_tokenizer(everything, config)
    tokenizer.save(out)
    if json:
        console.emit(
            {"folder": out, "vocab_size": tokenizer.vocab_size, "kind": kind, "sha256": tokenizer.sha256, "bytes": seen}
        )
    else:
        console.print_line(f"{tokenizer.vocab_size:,} tokens from {console.size(seen)} of text: {out}")
        console.print_line(f'lilliput tokenizer show "Once upon a time" --tokenizer {out}')


@app.command("show")
def show(
    tokenizer: Annotated[str, typer.Option(help="A tokenizer's folder, a run, or a tokenizer.json.")],
    text: Annotated[str | None, typer.Argument(help="The text; standard input is read if left out.")] = None,
    file: Annotated[Path | None, typer.Option(help="Read the text from this file.")] = None,
    json: Json = False,
) -> None:
    """Show the tokens of a text in colours, with their ids and counts."""
    from lilliput.base import console
    from lilliput.data.tokenizer import Tokenizer

    console.use_json(json)
    chosen = Tokenizer.load(tokenizer)
    data = _input(text, file)
    ids = chosen.encode(data.decode()) if chosen.kind == "other" else chosen.encode_bytes(data)
    counts = {"tokens": len(ids), "bytes": len(data), "bytes_per_token": len(data) / max(len(ids), 1)}
    pieces = [chosen.decode_bytes([number], continuing=True) for number in ids]
    if json:
        tokens = [{"id": number, "text": visible(piece)} for number, piece in zip(ids, pieces, strict=True)]
        console.emit({**counts, "vocab_size": chosen.vocab_size, "ids": ids, "pieces": tokens})
        return
    _paint(ids, pieces)
    console.print_line(
        f"{counts['tokens']:,} tokens, {counts['bytes']:,} bytes, {counts['bytes_per_token']:.2f} bytes a token"
    )


def _input(text: str | None, file: Path | None) -> bytes:
    """Return the text's bytes, from the command line, a file or standard input."""
    from lilliput.base.errors import ConfigError
    from lilliput.data.files import reading

    if text is not None and file is not None:
        raise ConfigError("a text and --file are both given", "leave one of them out")
    if text is not None:
        return text.encode("utf-8", "surrogateescape")
    if file is None:
        return sys.stdin.buffer.read()
    with reading(file):
        return file.read_bytes()


def visible(piece: bytes) -> str:
    r"""Return a token's bytes as text. A byte that is not part of a whole character becomes \xNN."""
    return piece.decode("utf-8", "backslashreplace")


def _paint(ids: list[int], pieces: list[bytes]) -> None:
    """Print the text with each token on a colour, then the ids in the same colours."""
    from rich.text import Text

    from lilliput.base.console import console

    painted, numbers = Text(), Text()
    for place, (number, piece) in enumerate(zip(ids, pieces, strict=True)):
        style: Any = f"black on {COLOURS[place % len(COLOURS)]}"
        # A newline is printed as a mark first, because the colour of a line break alone would not be visible.
        for line, part in enumerate(visible(piece).split("\n")):
            painted.append("↵" * bool(line), style=style).append("\n" * bool(line)).append(part, style=style)
        numbers.append(str(number), style=style).append(" ")
    console.print(painted, soft_wrap=True)
    console.print(numbers, soft_wrap=True)
