"""`lilliput export`, `import`, `push`, `pull`: exchange models with other programs and the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lilliput.cli.options import Json, Model


def export(
    run: Model,
    format: Annotated[str, typer.Argument(help="gguf (llama.cpp), llama2c (run.c, runq.c) or onnx (onnxruntime).")],
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", help="The file to write; without it NAME.gguf, .bin or .onnx in this folder."),
    ] = None,
    type: Annotated[
        str | None, typer.Option(help="How numbers are stored: f16, f32, q8_0 (gguf); f32, int8 (llama2c); f32 (onnx).")
    ] = None,
    json: Json = False,
) -> None:
    """Write a model as a file that another program runs. The file is read back and compared before it gets its name."""
    from dataclasses import asdict

    from lilliput import api
    from lilliput.base import console

    console.use_json(json)
    written = api.export(run, format, out, type=type, notify=_aside)
    if json:
        console.emit({"run": run, "format": format, **asdict(written)})
        return
    for file in written.files:
        console.print_line(f"{file}  {console.size(file.stat().st_size)}")
    console.print_line(f"parity ({written.kind}): {written.parity}")
    for note in written.notes:
        console.print_line(f"note: {note}")
    console.print_line(f"next: {written.use}")


def import_(
    file: Annotated[
        Path,
        typer.Argument(help="A .bin of llama2.c or llm.c, a .gguf, a nanoGPT checkpoint, a PEFT adapter's folder."),
    ],
    name: Annotated[str, typer.Argument(help="The model's name here: runs/NAME.")],
    tokenizer: Annotated[
        Path | None,
        typer.Option(help="For a file without a tokenizer: a tokenizer.bin, tokenizer.json, vocab.json or meta.pkl."),
    ] = None,
    base: Annotated[
        str | None,
        typer.Option(help="An adapter's base model (a run or folder), where the named model is not found."),
    ] = None,
    json: Json = False,
) -> None:
    """Read another program's model. The result is a stock Hugging Face folder that every command takes."""
    from lilliput import api
    from lilliput.base import console
    from lilliput.data.tokenizer import Tokenizer

    console.use_json(json)
    folder = api.import_file(file, name, tokenizer=tokenizer, base=base, notify=_aside)
    if json:
        console.emit({"file": file, "folder": folder})
    else:
        console.print_line(str(folder))
        # A vocabulary of characters may lack a character of this prompt, so no prompt is suggested then.
        prompt = ' "Once upon a time"' if Tokenizer.load(folder).bounded else ""
        console.print_line(f"next: {console.command()} generate {name}{prompt}")


def push(
    run: Model,
    repo: Annotated[str, typer.Argument(help="The model's name on the Hugging Face hub: user/name.")],
    private: Annotated[bool, typer.Option("--private", help="Make a new repository private.")] = False,
    licence: Annotated[
        str | None, typer.Option(help="The licence by the hub's name for it, such as apache-2.0.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the files and the card, and upload nothing.")
    ] = False,
    json: Json = False,
) -> None:
    """Upload a checkpoint to the Hugging Face hub. The model card is made from its run."""
    from lilliput import api
    from lilliput.base import console

    console.use_json(json)
    parcel, address = api.push(run, repo, private=private, licence=licence, dry_run=dry_run, notify=_aside)
    sizes, card = parcel.sizes(), parcel.card()
    if json:
        console.emit({"repo": repo, "files": sizes, "card": card, "commit": address})
        return
    for file, count in sizes.items():
        console.print_line(f"{file:28} {console.size(count):>9}")
    if dry_run:
        console.print_line(f"\n{card}")
        console.print_line(
            f"nothing was uploaded; the recipe contains your data's paths. To upload: lilliput push {run} {repo}"
        )
    else:
        console.print_line(str(address))


def pull(
    repo: Annotated[str, typer.Argument(help="A model on the Hugging Face hub: user/name.")],
    name: Annotated[
        str | None, typer.Argument(help="Its name here: runs/NAME; by default its name on the hub.")
    ] = None,
    revision: Annotated[str | None, typer.Option(help="A branch, tag or commit.")] = None,
    json: Json = False,
) -> None:
    """Download a model from the Hugging Face hub. Its class is Llama, Qwen3, Mistral, GPT-NeoX or GPT-2."""
    from lilliput import api
    from lilliput.base import console

    console.use_json(json)
    folder, commit = api.pull(repo, name, revision=revision)
    if json:
        console.emit({"repo": repo, "folder": folder, "commit": commit})
    else:
        console.print_line(f"{folder}  {repo} at {commit[:12]}")
        console.print_line(f'next: {console.command()} generate {folder.name} "Once upon a time"')


def _aside(text: str) -> None:
    from lilliput.base import console

    console.aside(text)
