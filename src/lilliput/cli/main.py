"""`lilliput`: the command, its groups, and how an error becomes one line and an exit code."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from lilliput import __version__
from lilliput.base import mkl
from lilliput.base.errors import LilliputError
from lilliput.cli import (
    compare,
    data,
    doctor,
    evaluate,
    exchange,
    experiments,
    generate,
    init,
    judge,
    model,
    plan,
    recipe,
    report,
    serve,
    tokenizer,
    train,
    wtac,
)

app = typer.Typer(
    name="lilliput",
    help="Grow tiny language models from raw text to a told story. Start with: lilliput train story",
    no_args_is_help=True,
    rich_markup_mode=None,  # plain help appears in two thirds of the time: a third went into importing what draws boxes
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("init")(init.init)
app.command("train")(train.train)
app.command("generate")(generate.generate)
app.command("evaluate")(evaluate.evaluate)
app.command("judge")(judge.judge)
app.command("complete")(judge.complete)
app.command("report")(report.report)
app.command("compare")(compare.compare)
app.command("serve")(serve.serve)
app.command("doctor")(doctor.doctor)
app.command("export")(exchange.export)
app.command("import")(exchange.import_)
app.command("push")(exchange.push)
app.command("pull")(exchange.pull)
app.command("wtac")(wtac.wtac)
app.add_typer(tokenizer.app, name="tokenizer")
app.add_typer(data.app, name="data")
app.add_typer(model.app, name="model")
app.add_typer(plan.app, name="plan")
app.add_typer(recipe.app, name="recipe")
app.add_typer(experiments.app, name="experiments")


def _version(asked: bool) -> None:
    if asked:
        print(f"lilliput {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options of the command itself."""
    mkl.prepare()


def start() -> None:
    """The process's entry: what trains starts again on a better memory allocator where one is installed."""
    if sys.argv[1:2] == ["train"]:
        from lilliput.base import allocator

        with one_line_errors():
            allocator.restart_on_better()
    main()


def main() -> None:
    """Run the command. A character that the output's encoding lacks (a Windows pipe, LANG=C) is written as '?'."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    with one_line_errors():
        app()


@contextmanager
def one_line_errors() -> Iterator[None]:
    """An error that a person can act on ends with exit code 2 and no traceback; the benchmarks' commands end so too."""
    try:
        yield
    except LilliputError as error:
        _complain(error.message, error.hint)
    except BrokenPipeError:
        # The reader of a pipe has left (`| head`): nobody is there to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _complain(f"{where}{error.strerror or error}", "check the path, its permissions and the free disk space")
    except KeyboardInterrupt:
        sys.stderr.write("\ninterrupted\n")
        sys.exit(130)


def _complain(message: str, hint: str | None) -> None:
    sys.stderr.write(f"error: {' '.join(message.split())}\n")
    if hint:
        sys.stderr.write(f"  {hint}\n")
    sys.exit(2)
