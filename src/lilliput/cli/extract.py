"""`lilliput extract`: fill JSON templates from texts; and `train`, `evaluate`, `make` for models that do it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lilliput.cli.groups import by_default
from lilliput.cli.options import Device, Json, whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lilliput.worlds.extraction.extracting import Extraction

app = typer.Typer(
    cls=by_default("run"),
    no_args_is_help=True,
    help="Fill a JSON template from texts: lilliput extract RUN --template FILE --text TEXT. Sub-commands train such a "
    "model, measure it, and make examples.",
)
Run = Annotated[str, typer.Argument(help="A run of `lilliput extract train`.")]
Kind = Annotated[
    list[str] | None,
    typer.Option(help="A kind of made examples: biography, story, persona, diary. Left out: the first two."),
]
Tagged = Annotated[list[str] | None, typer.Option(help="A CoNLL file of tagged entities to make examples of.")]


@app.command()
def run(
    run: Run,
    files: Annotated[list[Path] | None, typer.Argument(help="Files, each of one text.")] = None,
    template: Annotated[str | None, typer.Option(help="The template: JSON, or its file.")] = None,
    text: Annotated[list[str] | None, typer.Option(help="A text. Repeatable.")] = None,
    example: Annotated[bool, typer.Option("--example", help="Three biographies and a template for them.")] = False,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Fill a template from each text, and print the values with their places in the text and log-probabilities."""
    from lilliput.base import console
    from lilliput.base.errors import ConfigError
    from lilliput.base.reading import read_text
    from lilliput.worlds.extraction.extracting import extract
    from lilliput.worlds.extraction.three_biographies import TEMPLATE, TEXTS

    console.use_json(json)
    if example and (template or text or files):
        raise ConfigError("--example has its own template and texts", "leave out --template, --text and files")
    texts = list(TEXTS) if example else [*(text or ()), *(read_text(path) for path in files or ())]
    if not example and template is None:
        raise ConfigError("no template is given", 'name the fields: --template \'{"name": "verbatim-string"}\'')
    if not texts:
        raise ConfigError("no text is given", "give --text TEXT or files; --example shows three biographies")
    found = extract(run, texts, template if template is not None else TEMPLATE, device=device)
    if json:
        console.emit({"texts": [each.as_dict() for each in found]})
        return
    _print_found(texts, found)


def _print_found(texts: Sequence[str], found: Sequence[Extraction]) -> None:
    from lilliput.base import console
    from lilliput.cli.printing import print_table
    from lilliput.worlds.extraction.template import compact

    for number, (text, each) in enumerate(zip(texts, found, strict=True)):
        if number:
            console.print_line("")
        shown = " ".join(text.split())
        console.print_line(shown if len(shown) <= 400 else f"{shown[:400]} ...")
        console.print_line(compact(each.values))
        rows = []
        for field in each.as_dict()["fields"]:
            place = "" if field["start"] is None else f"{field['start']}-{field['end']}"
            nats = "" if field["log_probability"] is None else f"{field['log_probability']:.2f}"
            rows.append((field["path"], compact(field["value"]), place, nats))
        print_table(("field", "value", "place", "log-probability"), rows)
        if each.windows > 1:
            console.print_line(f"read in {each.windows} windows")
        if each.cut:
            console.print_line("an answer did not fit into the context, so values may be missing: ask for fewer fields")


@app.command()
def train(
    words: Annotated[
        list[str] | None, typer.Argument(help="Files of examples (JSON lines); key=value such as train.steps=500.")
    ] = None,
    kind: Kind = None,
    tagged: Tagged = None,
    only: Annotated[
        bool, typer.Option("--only", help="Train on the given files alone, without made examples.")
    ] = False,
    count: Annotated[int | None, whole(help="Made examples. Left out: 16,000.")] = None,
    name: Annotated[str, typer.Option(help="The run's name.")] = "extractor",
    json: Json = False,
) -> None:
    """Train a model that fills templates into runs/NAME, on biographies and stories that are made for it, and on files
    of your own: each line has a text, a template and its values."""
    from lilliput.base import console
    from lilliput.worlds.extraction.making import KINDS
    from lilliput.worlds.extraction.training import COUNT, train_extractor

    console.use_json(json)
    assignments = [word for word in words or () if "=" in word and not Path(word).exists()]
    made = train_extractor(
        [word for word in words or () if word not in assignments],
        assignments,
        kinds=kind or (() if only else KINDS),
        tagged=tagged or (),
        count=count or COUNT,
        name=name,
        notify=console.print_line,
    )
    if json:
        console.emit({"run": made.path, "summary": made.summary})
        return
    console.print_line(f"next: lilliput extract {made.path.name} --example")
    console.print_line(f"      lilliput extract evaluate {made.path.name}")


@app.command()
def evaluate(
    run: Run,
    files: Annotated[list[str] | None, typer.Argument(help="Files of examples. Left out: made ones.")] = None,
    kind: Kind = None,
    tagged: Tagged = None,
    count: Annotated[int, whole(help="Made examples of each kind.")] = 100,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Measure a model on examples that it was not trained on: F1 of values, and, without the constraint, the share of
    valid answers and of verbatim values that are in the text."""
    from lilliput.base import console
    from lilliput.cli.printing import print_table
    from lilliput.worlds.extraction.evaluating import FIGURES, evaluate_extractor

    console.use_json(json)
    found = evaluate_extractor(run, files or (), kinds=kind or (), tagged=tagged or (), count=count, device=device)
    if json:
        console.emit({"sets": found})
        return
    rows = [(text, *(f"{each[key]:.3f}" for each in found.values())) for key, text in FIGURES.items()]
    print_table(("", *found), [("texts", *(f"{each['texts']:,.0f}" for each in found.values())), *rows])


@app.command()
def make(
    out: Annotated[Path, typer.Argument(help="The JSON lines file to write.")],
    kind: Kind = None,
    tagged: Tagged = None,
    count: Annotated[int, whole(help="Examples.")] = 1000,
    seed: int = 0,
    held_out: Annotated[bool, typer.Option("--held-out", help="Names that training examples lack.")] = False,
    json: Json = False,
) -> None:
    """Write examples: a text, a template and its values a line, to look at or to train on."""
    from lilliput.base import console
    from lilliput.base.errors import ConfigError
    from lilliput.worlds.extraction.making import KINDS, make_examples, makers_of, write_examples

    console.use_json(json)
    if out.exists():
        raise ConfigError(f"{out} is there already", "give another name, or delete it")
    makers = makers_of(kind or (() if tagged else KINDS), tagged or ())
    written = write_examples(make_examples(makers, count, seed, held_out), out)
    if json:
        console.emit({"file": out, "examples": written})
        return
    console.print_line(f"wrote {written:,} examples: {out}")
