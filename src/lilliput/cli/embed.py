"""`lilliput embed`: vectors of texts, and the texts that are nearest to each other or to a query."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lilliput.cli.lines import texts_of
from lilliput.cli.options import Device, Json, Model

if TYPE_CHECKING:
    import numpy as np

WIDEST = 60
"""Characters of each text that are printed."""
SUFFIXES = (".npy", ".safetensors")


def embed(
    model: Model,
    texts: Annotated[list[str] | None, typer.Argument(help="Texts; without them, the lines of the input.")] = None,
    file: Annotated[Path | None, typer.Option(help="Embed each line of this file.")] = None,
    near: Annotated[str | None, typer.Option(help="Print the texts that are nearest to this one.")] = None,
    top: Annotated[int, typer.Option(help="Print this many of them.")] = 5,
    out: Annotated[
        Path | None, typer.Option(help="Write the vectors to this file: .npy, or .safetensors ('embeddings').")
    ] = None,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Embed texts as vectors, the mean of a model's last hidden states, and print which texts are near each other."""
    from lilliput import api
    from lilliput.base import console

    console.use_json(json)
    if out is not None:
        _check(out, near)
    given = texts_of(texts, file, "embed")
    if near is not None:
        found = api.neighbours(model, given, near, top=top, device=device, notify=console.aside)
        _print_near(found)
        if json:
            console.emit({"model": model, "near": near, "neighbours": found})
        return
    vectors = api.embed(model, given, device=device, notify=console.aside)
    report: dict[str, Any] = {"model": model, "texts": given, "dimensions": vectors.shape[1]}
    if out is not None:
        _write(vectors, out)
        report["file"] = str(out)
        console.print_line(f"{out}: {len(vectors):,} vectors of {vectors.shape[1]} numbers")
    else:
        report["vectors"] = vectors.tolist()
        _print_pairs(given, vectors)
    if json:
        console.emit(report)


def _check(out: Path, near: str | None) -> None:
    """Raise ConfigError for a file of another kind, and beside --near, before anything is computed."""
    from lilliput.base.errors import ConfigError

    if near is not None:
        raise ConfigError("--near prints texts, and --out writes vectors", "leave one of them out")
    if out.suffix not in SUFFIXES:
        raise ConfigError(f"{out} is no file for vectors", f"name a file that ends with {' or '.join(SUFFIXES)}")
    if not out.absolute().parent.is_dir():
        raise ConfigError(f"there is no folder {out.absolute().parent} to write {out.name} in", "make the folder first")


def _write(vectors: np.ndarray, out: Path) -> None:
    """Write the vectors beside the file and move them there, so that a file that was there is never cut short."""
    import os

    import numpy as np
    from safetensors.numpy import save

    from lilliput.base.files import sync

    beside = out.with_name(f"{out.name}.tmp{os.getpid()}")
    try:
        with open(beside, "wb") as opened:
            if out.suffix == ".npy":
                np.save(opened, vectors)
            else:
                opened.write(save({"embeddings": np.ascontiguousarray(vectors)}))
        sync(beside)
        beside.replace(out)
    finally:
        beside.unlink(missing_ok=True)


def _print_near(found: list[dict[str, Any]]) -> None:
    from lilliput.base import console

    for row in found:
        console.print_line(f"{row['similarity']:7.3f}  {_cut(row['text'])}")


def _print_pairs(texts: list[str], vectors: np.ndarray) -> None:
    """Print each text with the other text that is nearest to it."""
    import numpy as np

    from lilliput.base import console
    from lilliput.generation.vectors import cosines

    if len(texts) == 1:
        numbers = " ".join(f"{number:.3f}" for number in vectors[0, :6])
        console.print_line(f"{vectors.shape[1]} numbers: {numbers} ...  (--json prints all; --out FILE writes them)")
        return
    likeness = cosines(vectors, vectors)
    np.fill_diagonal(likeness, -np.inf)
    for text, row in zip(texts, likeness, strict=True):
        nearest = int(row.argmax())
        console.print_line(f"{row[nearest]:7.3f}  {_cut(text)}  ~  {_cut(texts[nearest])}")


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= WIDEST else f"{line[:WIDEST]} ..."
