"""`lilliput data`: look at the documents of data sources before training on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lilliput.cli.options import Json, whole
from lilliput.cli.texts import NeededData, Words, sort_words

if TYPE_CHECKING:
    from lilliput.data.curation import Curation

app = typer.Typer(help="See how a source's text is split into documents.", no_args_is_help=True)


@app.command("show")
def show(
    data: NeededData,
    words: Words = None,
    max_documents: Annotated[int | None, whole(help="Read at most this many documents.")] = None,
    errors: Annotated[str, typer.Option(help="strict, or replace for text that is not UTF-8.")] = "strict",
    json: Json = False,
) -> None:
    """Read sources to the end and report them. Each source's kind, its number of documents, the dropped documents with
    reasons, and one document as a sample."""
    from lilliput.base import console
    from lilliput.data.curation import Curation, source_report
    from lilliput.data.infer import data_config

    console.use_json(json)
    assignments, paths = sort_words(words, data)
    config = data_config(paths, assignments, max_documents=max_documents, errors=errors)
    curation = Curation(config)
    sample = None
    with console.progress("reading", unit="documents") as bar:
        for item in curation:
            sample = sample or item.document
            bar.advance()
    problem = _problem(curation)
    if sample is None:
        curation.check()  # raises: there are no documents
        return
    reports = [source_report(source, counts) for source, counts in zip(config.sources, curation.by_source, strict=True)]
    if json:
        shown = {"id": sample.id, "text": sample.text}
        counts = {"splits": dict(curation.documents), "drops": dict(curation.drops)}
        console.emit({"sources": reports, **counts, "problem": problem, "sample": shown})
        return
    for report in reports:
        console.print_line(str(report["describe"]))
        console.print_line(
            f"  {report['documents']:,} documents, {report['text_bytes']:,} bytes, {report['dropped']:,} dropped"
        )
    for reason, count in curation.drops.items():
        console.print_line(f"dropped: {count:,} {reason}")
    console.print_line(
        ", ".join(f"{name} {count:,}" for name, count in sorted(curation.documents.items())) + " documents"
    )
    if problem:
        console.print_line(f"this data cannot be trained on yet: {problem}")
    console.print_line(f"\n{sample.id}:\n{sample.text[:600]}{' ...' if len(sample.text) > 600 else ''}")


def _problem(curation: Curation) -> str | None:
    """Return why a run could not train on the documents that were read; None when it could."""
    from lilliput.base.errors import DataError

    try:
        curation.check()
    except DataError as error:
        return str(error)
    return None
