"""`lilliput lens`: look inside a model, through its checkpoints, and beside other models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lilliput.cli.groups import by_default
from lilliput.cli.options import Device, Json, Model
from lilliput.cli.texts import Words, sort_words

if TYPE_CHECKING:
    from lilliput.assembly.looking import Looked
    from lilliput.assembly.looking_across import Across

app = typer.Typer(
    cls=by_default("look"),
    help="Look inside a model. `lilliput lens RUN` writes a page about its heads, neurons and tokens.",
    no_args_is_help=True,
)

Only = Annotated[
    str | None, typer.Option(help="Instruments, such as heads,matters; `lilliput lens list` has all.", metavar="NAMES")
]
Text = Annotated[list[str] | None, typer.Option(help="Read this text instead of the run's own held-out text.")]
Thorough = Annotated[bool, typer.Option("--thorough", help="Read more text, and let instruments take minutes.")]


@app.command("look")
def look(
    model: Model,
    words: Words = None,
    only: Only = None,
    data: Text = None,
    beside: Annotated[str | None, typer.Option(help="A run of the same recipe with another seed, a control.")] = None,
    thorough: Thorough = False,
    output: Annotated[Path | None, typer.Option(help="The HTML page; by default RUN/lens.html.")] = None,
    show: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Look inside a model with every instrument, and write one offline page; the same as `lilliput lens RUN`."""
    from lilliput import api
    from lilliput.base import console

    console.use_json(json)
    fit, texts = words_of(words, data)
    found = api.look_inside(
        model,
        names_of(only),
        data=texts,
        fit=fit,
        beside=beside,
        thorough=thorough,
        output=output,
        device=device,
        notify=console.print_line,
    )
    if json:
        console.emit({"page": found.page, "figures": found.figures, **found.look.as_dict()})
    else:
        _print(found)
    if show:
        typer.launch(str(found.page))


def names_of(only: str | None) -> list[str]:
    """Return the names of a list such as heads,matters."""
    return [name.strip() for name in (only or "").split(",") if name.strip()]


def words_of(words: list[str] | None, data: list[str] | None) -> tuple[list[str], list[str]]:
    """Return the overrides and the paths of the text. Raises ConfigError for words without --data."""
    from lilliput.base.errors import ConfigError

    if words and not data:
        raise ConfigError(
            f"{' '.join(words)}: lens takes one model",
            "name text with --data, another seed with --beside; several models: lilliput lens compare RUN RUN",
        )
    return sort_words(words, data)


def _print(found: Looked) -> None:
    """Print the findings, the instruments that do not fit, and the page."""
    from lilliput.base import console
    from lilliput.lens.instrument import INSTRUMENTS

    lines = [line for name in found.look.found for line in INSTRUMENTS[name]().findings(found.look.found[name])]
    for line in lines or ["no figure beats its control"]:
        console.print_line(line)
    for name, reason in found.look.refused.items():
        console.print_line(f"left out: {name}: {reason}")
    console.print_line(str(found.page))


def _across(look: str, models: Any, page: str) -> Callable[..., None]:
    """Return a command that prints the figures of several models or steps in columns. `look` is the function of
    lilliput.api that measures them, `models` the argument that names them, and `page` the default page."""

    def command(
        models: Any,
        only: Only = None,
        data: Text = None,
        thorough: Thorough = False,
        output: Path | None = None,
        device: Device = "auto",
        json: Json = False,
    ) -> None:
        from lilliput import api
        from lilliput.base import console

        console.use_json(json)
        options = {"data": data or [], "thorough": thorough, "output": output, "device": device}
        _report(getattr(api, look)(models, names_of(only), **options, notify=console.print_line), json)

    output = Annotated[Path | None, typer.Option(help=f"The HTML page; by default {page}.")]
    command.__annotations__ |= {"models": models, "output": output}
    return command


app.command(
    "compare", help="Compare the inside of models. Roles stand side by side, such as the strongest induction head."
)(
    _across(
        "compare_inside",
        Annotated[list[str], typer.Argument(help="Runs, checkpoints or Hugging Face folders, two or more.")],
        "lens-compare.html",
    )
)
app.command("evolve", help="Look inside a run's checkpoints. Curves show when the model learned what its heads do.")(
    _across(
        "look_through",
        Annotated[str, typer.Argument(help="A run's name or folder.", metavar="RUN")],
        "RUN/lens-evolve.html",
    )
)


def _report(found: Across, json: bool) -> None:
    """Print the figures of models or steps in columns, and the page."""
    from lilliput.base import console
    from lilliput.cli.printing import print_table
    from lilliput.lens.compare import text_of
    from lilliput.lens.instrument import INSTRUMENTS

    if json:
        console.emit({"page": found.page, **found.as_dict()})
        return
    for name, by_role in found.roles.items():
        lines = [(role, *(text_of(values.get(one)) for one in found.columns)) for role, values in by_role.items()]
        print_table((INSTRUMENTS[name].title, *found.columns), lines)
    console.print_line(str(found.page))


@app.command("list")
def list_instruments(json: Json = False) -> None:
    """List the instruments, a line each, in the order of the page."""
    from lilliput.base import console
    from lilliput.lens.instrument import INSTRUMENTS, PARTS
    from lilliput.lens.look import ordered

    console.use_json(json)
    rows = [{"name": n, "title": INSTRUMENTS[n].title, "part": PARTS[INSTRUMENTS[n].part]} for n in ordered()]
    if json:
        console.emit({"instruments": rows})
        return
    wide = max((len(row["name"]) for row in rows), default=0)
    for row in rows:
        console.print_line(f"{row['name']:{wide}}  {row['title']}")
