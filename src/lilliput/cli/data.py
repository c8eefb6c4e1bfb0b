"""`lilliput data`: look at the documents of data sources, and at their tokens, before training on them."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lilliput.cli.options import Json, whole
from lilliput.cli.texts import Data, sort_words

if TYPE_CHECKING:
    from lilliput.assembly.recipe import Recipe
    from lilliput.data.curation import Curation
    from lilliput.data.document import Document

app = typer.Typer(help="Look at data, curate it, and download it.", no_args_is_help=True)


@app.command("show")
def show(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            help="A recipe or a run, whose tokens are then shown; further paths; section.key=value such as "
            "data.sources.0.column=body.",
            show_default=False,
        ),
    ] = None,
    data: Data = None,
    begin: Annotated[
        str | None,
        typer.Option("--from", help="Show a recipe in the tokens of this run, checkpoint or Hugging Face folder."),
    ] = None,
    count: Annotated[int, typer.Option(min=0, help="Print this many examples of a recipe or run.")] = 2,
    max_documents: Annotated[int | None, whole(help="Read at most this many documents.")] = None,
    errors: Annotated[str | None, typer.Option(help="strict, or replace for text that is not UTF-8.")] = None,
    json: Json = False,
) -> None:
    """Show data. Of sources alone: each source's kind, its number of documents, the dropped documents with reasons, and
    one document. Of a recipe or a run: examples as the trainer sees them, with the learned tokens marked, the share of
    the tokens that is learned, and what happens to long examples."""
    from lilliput.base import console
    from lilliput.base.errors import ConfigError

    console.use_json(json)
    subject, words = _subject(words or [], data)
    if subject is not None:
        options = {"data.max_documents": max_documents, "data.errors": errors}
        given = [f"{key}={value}" for key, value in options.items() if value is not None]
        assignments, paths = sort_words(words, data)
        _show_tokens(_recipe(subject, [*assignments, *given], paths, begin), count, json)
    elif begin is not None:
        raise ConfigError(
            "--from shows a recipe in another model's tokens, and no recipe is named",
            f"name one: lilliput data show RECIPE --from {shlex.quote(begin)}",
        )
    elif data:
        _show_documents(words, data, max_documents, errors or "strict", json)
    else:
        raise ConfigError("no data is named", "name a recipe, a run, or files: lilliput data show --data 'texts/*.txt'")


def _subject(words: Sequence[str], data: Sequence[str] | None) -> tuple[str | None, list[str]]:
    """Return the recipe or run among the words, and the other words. Beside --data, words that name neither are
    paths. Raises ConfigError for a file of data without --data."""
    from lilliput.base.errors import ConfigError
    from lilliput.base.shipped import shipped

    named = next((word for word in words if "=" not in word), None)
    if named is None:
        return None, list(words)
    is_file, is_recipe = Path(named).is_file(), Path(named).suffix in (".yaml", ".yml")
    if not data and is_file and not is_recipe:
        raise ConfigError(
            f"{named} is no recipe", f"name data by --data: lilliput data show --data {shlex.quote(named)}"
        )
    if data and not is_recipe and (is_file or (named not in shipped() and _run(named) is None)):
        return None, list(words)
    rest = list(words)
    rest.remove(named)
    return named, rest


def _run(name: str) -> Path | None:
    """Return the folder of a run of this name or path."""
    from lilliput.base.errors import CheckpointError
    from lilliput.runs.finding import find
    from lilliput.runs.run_folder import RunFolder

    try:
        folder = find(name)
    except CheckpointError:
        return None
    return folder if RunFolder(folder).recipe.is_file() else None


def _recipe(subject: str, assignments: Sequence[str], paths: Sequence[str], begin: str | None) -> Recipe:
    """Return a recipe by its name or file, as a run that begins with the model at `begin` has it; or the recipe of a
    run. Other data of a run is shown in the run's tokens. Raises ConfigError for a run with `begin`."""
    from lilliput.assembly.recipe import recipe_of
    from lilliput.base.errors import ConfigError
    from lilliput.base.shipped import shipped
    from lilliput.planning.dial import load_recipe

    run = None if subject in shipped() else _run(subject)
    if run is None:
        changes: dict[str, Any] = {} if begin is None else {"init": {"from": begin}}
        return load_recipe(subject, assignments, changes, data=paths)
    if begin is not None:
        raise ConfigError(
            f"{subject} is a run, and a run is shown in its own tokens", "leave --from out, or name a recipe"
        )
    changes = {"tokenizer": {"path": str(run)}} if paths else {}
    return load_recipe(recipe_of(run), assignments, changes, data=paths)


def _show_tokens(recipe: Recipe, count: int, json: bool) -> None:
    from dataclasses import asdict

    from lilliput.assembly.showing import show_data
    from lilliput.base import console
    from lilliput.cli.learned import print_data

    shown = show_data(recipe, count, console.print_line)
    if json:
        console.emit(asdict(shown))
    else:
        print_data(shown)


def _show_documents(words: Sequence[str], data: Sequence[str], most: int | None, errors: str, json: bool) -> None:
    """Read sources to the end and report them."""
    from collections import Counter

    from lilliput.base import console
    from lilliput.data.curation import Curation, source_report
    from lilliput.data.infer import data_config

    assignments, paths = sort_words(words, data)
    config = data_config(paths, assignments, max_documents=most, errors=errors)
    curation = Curation(config)
    sample = None
    kinds: Counter[str] = Counter()
    with console.progress("reading", unit="documents") as bar:
        for item in curation:
            sample = sample or item.document
            kinds[item.document.kind] += 1
            bar.advance()
    problem = _problem(curation)
    if sample is None:
        curation.check()  # raises: there are no documents
        return
    reports = [source_report(source, counts) for source, counts in zip(config.sources, curation.by_source, strict=True)]
    if json:
        counts = {"splits": dict(curation.documents), "kinds": kinds, "drops": dict(curation.drops)}
        console.emit({"sources": reports, **counts, "problem": problem, "sample": _sample(sample)})
        return
    for report in reports:
        console.print_line(str(report["describe"]))
        console.print_line(
            f"  {report['documents']:,} documents, {report['text_bytes']:,} bytes, {report['dropped']:,} dropped"
        )
    for reason, number in curation.drops.items():
        console.print_line(f"dropped: {number:,} {reason}")
    console.print_line(
        ", ".join(f"{name} {number:,}" for name, number in sorted(curation.documents.items())) + " documents"
    )
    if problem:
        console.print_line(f"this data cannot be trained on yet: {problem}")
    _print_sample(sample, data)


def _sample(document: Document) -> dict[str, Any]:
    if document.example is None:
        return {"id": document.id, "text": document.text}
    example = document.example
    return {"id": document.id, "text": document.text, "kind": example.kind, "row": example.row}


def _print_sample(document: Document, data: Sequence[str]) -> None:
    """Print a text, or an example's parts with their names."""
    import json

    from lilliput.base import console

    def cut(text: str) -> str:
        return f"{text[:600]}{' ...' if len(text) > 600 else ''}"

    if document.kind in ("text", "labelled"):
        console.print_line(f"\n{document.id}:\n{cut(document.text)}")
    if document.example is None:
        return
    if document.kind != "labelled":
        console.print_line(f"\n{document.id}:")
    for name, part in document.example.row.items():
        shown = part if isinstance(part, str) else json.dumps(part, ensure_ascii=False)
        if document.kind != "labelled" or name == "label":
            console.print_line(f"{name}: {cut(shown)}")
    files = " ".join(map(shlex.quote, data))
    console.print_line(f"\nits tokens, with the learned ones marked: lilliput data show RECIPE --data {files}")


def _problem(curation: Curation) -> str | None:
    """Return why a run could not train on the documents that were read; None when it could."""
    from lilliput.base.errors import DataError

    try:
        curation.check()
    except DataError as error:
        return str(error)
    return None
