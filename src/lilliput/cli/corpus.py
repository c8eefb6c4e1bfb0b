"""`lilliput data prepare`, `report`, `classifier`, `sources`, `download`: curated corpora, and their sources."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lilliput.cli.options import Json, whole
from lilliput.cli.texts import Data, sort_words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PROFILE = "Steps for each source: web, simple, stories, books, code, none, or auto by its documents."


def prepare(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            help="A YAML file with sources and steps, or a recipe; further paths; key=value such as errors=replace.",
            show_default=False,
        ),
    ] = None,
    data: Data = None,
    profile: Annotated[str | None, typer.Option(help=PROFILE)] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the corpus. Left out: corpora/NAME.")] = None,
    json: Json = False,
) -> None:
    """Take the documents of sources through curation steps, into a folder: documents/ (JSON lines, for training and any
    other tool), rejects/ with the reasons, and corpus.html. The same command goes on after an interruption, and after a
    change does only what depends on it."""
    from lilliput.assembly.curating import prepare
    from lilliput.base import console
    from lilliput.data.corpus.config import load

    console.use_json(json)
    words = words or []
    file = next((Path(word) for word in words if word.endswith((".yaml", ".yml"))), None)
    rest = [word for word in words if file is None or word != str(file)]
    assignments, paths = sort_words(rest, data)
    config = load(file, paths, assignments, profile)
    folder = out or Path("corpora") / (file.stem if file else "corpus")
    try:
        made = prepare(config, folder, console.print_line)
    except KeyboardInterrupt:
        console.print_line("interrupted; what is done is kept: type the same command again to go on")
        raise typer.Exit(130) from None
    if made.submitted:
        console.print_line(f"submitted; see its state with squeue, and its logs in {folder / 'work' / 'logs'}")
        return
    if json:
        console.emit({"folder": folder, **made.manifest})
    else:
        print_corpus(made.manifest, folder)


def report(
    folder: Annotated[Path, typer.Argument(help="The folder of a prepared corpus.")],
    json: Json = False,
) -> None:
    """Print what curation did to a corpus, and write its page anew: corpus.html, one offline file."""
    from lilliput.base import console
    from lilliput.base.damage import read_sealed
    from lilliput.base.errors import DataError
    from lilliput.base.files import write_text
    from lilliput.data.corpus.page import page

    console.use_json(json)
    try:
        manifest = read_sealed(folder / "manifest.json")
    except (OSError, ValueError) as error:
        raise DataError(
            f"{folder} is no prepared corpus: {error}", f"prepare it: lilliput data prepare CONFIG --out {folder}"
        ) from None
    write_text(folder / "corpus.html", page(manifest))
    if json:
        console.emit({"folder": folder, **manifest})
    else:
        print_corpus(manifest, folder)


def print_corpus(manifest: Mapping[str, Any], folder: Path) -> None:
    """Print the funnel, the reasons, and what to do next."""
    from rich import box
    from rich.table import Table

    from lilliput.base import console

    shown = Table(box=box.SIMPLE_HEAD)
    for title in ("step", "documents", "dropped", "changed", "changed words", "MB/s of a core"):
        shown.add_column(title, justify="left" if title == "step" else "right")
    for step in manifest["steps"]:
        name = step["kind"] if step["source"] is None else f"{step['kind']} (source {step['source']})"
        share = f"{step['changed_words'] / step['sampled_words']:.2%}" if step["sampled_words"] else ""
        speed = f"{step['bytes'] / 1e6 / step['seconds']:,.1f}" if step["seconds"] > 0.05 else ""
        counts = (f"{step['documents']:,}", f"{sum(step['dropped'].values()):,}", f"{step['changed']:,}")
        shown.add_row(name, *counts, share, speed)
    console.console.print(shown)
    for reason, count in manifest["dropped"].items():
        console.print_line(f"dropped: {count:,} {reason}")
    documents, size = manifest["documents"], manifest["bytes"]
    console.print_line(
        f"kept {documents['kept']:,} of {documents['read']:,} documents, {size['kept'] / 1e6:,.1f} of "
        f"{size['read'] / 1e6:,.1f} MB"
    )
    before, after = manifest["before"], manifest["after"]
    console.print_line(
        f"vocabulary {before['vocabulary']:,} to {after['vocabulary']:,} words, median grade "
        f"{before.get('grade', 0):.1f} to {after.get('grade', 0):.1f}"
    )
    console.print_line(f"look at it: {console.typed(folder / 'corpus.html')}")
    console.print_line(f"train on it: lilliput train {console.typed(folder / 'train.yaml')}")


def classifier(
    good: Annotated[Path, typer.Argument(help="Files or a folder of good documents.")],
    bad: Annotated[Path, typer.Argument(help="Files or a folder of bad documents.")],
    out: Annotated[Path, typer.Option(help="The file that is written.")] = Path("quality.safetensors"),
    json: Json = False,
) -> None:
    """Train a small classifier of good and bad documents, for the step `quality`."""
    from lilliput.base import console
    from lilliput.data.steps.quality import train

    console.use_json(json)
    made = train(_texts(good), _texts(bad))
    made.classifier.save(out)
    figures = {"documents": made.documents, "held_out": made.held_out, "accuracy": made.accuracy, "auc": made.auc}
    if json:
        console.emit({"file": out, **figures})
        return
    console.print_line(
        f"{made.documents:,} documents learned; of {made.held_out:,} held out {made.accuracy:.1%} are right (area "
        f"under the curve {made.auc:.3f})"
    )
    step = f"{{kind: quality, classifier: {out}}}"
    console.print_line(f"use it: lilliput data prepare --data FILES 'steps=[{step}]'")


def _texts(path: Path) -> Sequence[str]:
    """Return the texts of a file or a folder."""
    from lilliput.data.infer import infer_sources
    from lilliput.data.source import documents_of

    sources = enumerate(infer_sources([str(path)]))
    return [each.text for number, source in sources for each in documents_of(source, number) if each.text.strip()]


def sources(json: Json = False) -> None:
    """List the sources that are known by name: their licence, their size, and how to get them."""
    from rich import box
    from rich.table import Table

    from lilliput.base import console
    from lilliput.data.known import KNOWN

    console.use_json(json)
    if json:
        console.emit({"sources": [each._asdict() for each in KNOWN]})
        return
    shown = Table(box=box.SIMPLE_HEAD)
    for title in ("name", "text", "licence", "profile", "how to get it"):
        shown.add_column(title)
    ways = {
        "hub": "--data {name}, or lilliput data download {name}",
        "files": "lilliput data download {name}",
        "folder": "{place}",
    }
    for each in KNOWN:
        how = ways[each.way].format(name=each.name, place=each.place)
        shown.add_row(each.name, each.size, each.licence, each.profile, f"{how}\n{each.note}" if each.note else how)
    console.console.print(shown)
    console.print_line("the licences are those that the publishers state; the hub's datasets need the extra data")


def download(
    name: Annotated[
        str, typer.Argument(help="A known source (`lilliput data sources`), hf:NAME, or an https address.")
    ],
    out: Annotated[Path | None, typer.Option(help="Folder. Left out: data/NAME.")] = None,
    max_documents: Annotated[int | None, whole(help="Download at most this many documents of a hub dataset.")] = None,
    crawl: Annotated[str | None, typer.Option(help="CommonCrawl: the crawl, such as CC-MAIN-2024-10.")] = None,
    files: Annotated[int, typer.Option(min=1, help="CommonCrawl: number of WARC files, of about 1 GB each.")] = 1,
) -> None:
    """Download a corpus into files, which training and `data prepare` read. The same command goes on after an
    interruption."""
    from lilliput.base.errors import DataError
    from lilliput.data.known import known

    found = known(name)
    folder = out or Path("data") / (found.name.lower() if found else Path(name.removeprefix("hf:")).name)
    if found is not None and found.way == "folder":
        raise DataError("a folder of your own is here already", "lilliput data prepare --data FOLDER")
    if name.startswith("hf:") or (found is not None and found.way == "hub"):
        _download_dataset(name, folder, max_documents)
    else:
        _download_files(name, folder, crawl, files)


def _download_dataset(name: str, folder: Path, most: int | None) -> None:
    from lilliput.base import console
    from lilliput.data.corpus import CorpusConfig, prepare
    from lilliput.data.infer import infer_sources

    config = CorpusConfig(sources=tuple(infer_sources([name])), max_documents=most)
    made = prepare(config, folder, console.print_line)
    console.print_line(
        f"{made.manifest['documents']['kept']:,} documents: --data {console.typed(folder / 'documents')}"
    )


def _download_files(name: str, folder: Path, crawl: str | None, count: int) -> None:
    from lilliput.base import console
    from lilliput.base.errors import DataError
    from lilliput.data.download import crawl_files, fetch
    from lilliput.data.known import CRAWL, known

    found = known(name)
    with console.progress("downloading", unit="MB") as bar:

        def progress(done: int, total: int | None) -> None:
            bar.update(done / 1e6, None if total is None else total / 1e6)

        if found is None:
            addresses = [name]
        elif found.name == "CommonCrawl":
            if crawl is None:
                raise DataError("no crawl is named", "lilliput data download CommonCrawl --crawl CC-MAIN-2024-10")
            addresses = crawl_files(CRAWL, crawl, count, folder, progress)
        else:
            addresses = [found.place]
        paths = [fetch(address, folder, progress) for address in addresses]
    console.print_line(f"read them: lilliput data prepare --data {' '.join(map(console.typed, paths))}")


def check(
    words: Annotated[list[str] | None, typer.Argument(help="Further paths.", show_default=False)] = None,
    data: Data = None,
    against: Annotated[list[str] | None, typer.Option(help="Texts that models are evaluated on. Repeatable.")] = None,
    people: Annotated[list[str] | None, typer.Option(help="Texts that people wrote. Repeatable.")] = None,
    models: Annotated[list[str] | None, typer.Option(help="Texts that language models wrote. Repeatable.")] = None,
    json: Json = False,
) -> None:
    """Check a corpus: words that language models are known by, by year; how diverse it is; and, with --against, how
    many of the texts that models are evaluated on share a run of 13 words with it."""
    from lilliput.assembly.checking import check_corpus
    from lilliput.base import console
    from lilliput.base.errors import ConfigError

    console.use_json(json)
    paths = [*(data or ()), *(words or ())]
    if not paths:
        raise ConfigError("no data is named", "name files: lilliput data check --data 'texts/*.jsonl'")
    found = check_corpus(paths, against=against or (), people=people or (), models=models or ())
    if json:
        console.emit(found)
    else:
        _print_check(found)


def _print_check(found: Mapping[str, Any]) -> None:
    from rich import box
    from rich.table import Table

    from lilliput.base import console

    markers = ", ".join(f"{word} {count:,}" for word, count in list(found["markers"].items())[:8]) or "none"
    console.print_line(
        f"{found['documents']:,} documents, {found['words']:,} words; {found['markers_per_million']:,.0f} marker words "
        f"a million: {markers}"
    )
    for name in ("year", "source", "topic", "form"):
        shown = Table(box=box.SIMPLE_HEAD)
        for title in (name, "documents", "words", "share", "markers a million", "triples that occur once", "packed"):
            shown.add_column(title, justify="left" if title == name else "right")
        for group, row in found[name]["rows"].items():
            cells = (f"{row['documents']:,}", f"{row['words']:,}", f"{row['share']:.1%}")
            marks = f"{row['markers_per_million']:,.0f}"
            shown.add_row(group, *cells, marks, f"{row['once']:.0%}", f"{row['packed']:.1f} times smaller")
        console.console.print(shown)
        console.print_line(f"as diverse as {found[name]['effective_number']:.1f} equal groups by {name}")
    if "synthetic" in found:
        share = found["synthetic"]
        console.print_line(
            f"share of words by language models: {share['share']:.1%} ({share['low']:.1%} to {share['high']:.1%})"
        )
    for name, row in found.get("overlap", {}).items():
        long = row["items"] - row["short"]
        example = f", such as: {row['examples'][0]}" if row["examples"] else ""
        console.print_line(f"{name}: {row['found']:,} of {long:,} texts share {row['n']} words in a row{example}")
