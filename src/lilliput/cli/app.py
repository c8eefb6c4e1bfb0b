"""The commands and their groups as one Typer application."""

from __future__ import annotations

from typing import Annotated

import typer

from lilliput import __version__
from lilliput.cli import (
    cache,
    chat,
    compare,
    corpus,
    data,
    diaries,
    doctor,
    embed,
    evaluate,
    exchange,
    experiments,
    extract,
    fill,
    generate,
    init,
    judge,
    label,
    lens,
    model,
    personas,
    plan,
    recipe,
    report,
    score,
    serve,
    simulate,
    synthesize,
    tables,
    tokenizer,
    train,
    wtac,
)

app = typer.Typer(
    name="lilliput",
    help="Grow tiny language models, from raw text to generated stories. Start with: lilliput train story",
    no_args_is_help=True,
    rich_markup_mode=None,  # the import of the code that draws boxes took a third of the time of --help
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("init")(init.init)
app.command("train", context_settings={"ignore_unknown_options": True})(train.train)  # train() refuses them itself
app.command("generate")(generate.generate)
app.command("chat")(chat.chat)
app.command("evaluate")(evaluate.evaluate)
app.command("score")(score.score)
app.command("fill")(fill.fill)
app.command("embed")(embed.embed)
app.command("judge")(judge.judge)
app.command("complete")(judge.complete)
app.command("label")(label.label)
app.command("report")(report.report)
app.command("compare")(compare.compare)
app.command("serve")(serve.serve)
app.command("doctor")(doctor.doctor)
app.command("export")(exchange.export)
app.command("import")(exchange.import_)
app.command("push")(exchange.push)
app.command("pull")(exchange.pull)
app.command("wtac")(wtac.wtac)
app.add_typer(cache.app, name="cache")
app.add_typer(tokenizer.app, name="tokenizer")
data.app.command("prepare")(corpus.prepare)
data.app.command("report")(corpus.report)
data.app.command("classifier")(corpus.classifier)
data.app.command("synthesize")(synthesize.synthesize)
data.app.command("check")(corpus.check)
data.app.command("sources")(corpus.sources)
data.app.command("download")(corpus.download)
app.add_typer(data.app, name="data")
app.add_typer(tables.app, name="tables")
app.add_typer(personas.app, name="personas")
app.add_typer(diaries.app, name="diaries")
app.command("simulate")(simulate.simulate)
app.add_typer(extract.app, name="extract")
app.add_typer(model.app, name="model")
app.add_typer(lens.app, name="lens")
app.add_typer(plan.app, name="plan")
app.add_typer(recipe.app, name="recipe")
app.add_typer(experiments.app, name="experiments")


def _version(asked: bool) -> None:
    if asked:
        print(f"lilliput {__version__}")
        raise typer.Exit


COMPUTING = (
    *(
        "train",
        "generate",
        "chat",
        "evaluate",
        "score",
        "fill",
        "embed",
        "judge",
        "complete",
        "label",
        "serve",
        "doctor",
        "extract",
        "lens",
        "export",
        "import",
        "plan",
        "tables",
        "personas",
        "diaries",
        "simulate",
    ),
)
"""Commands that run PyTorch. The others need nothing prepared, and ask for no cache."""
KEEPING = ("train", "plan", "lens")
"""Commands that run many passes of one size: freed memory is kept for the next pass, which saves time
(benchmarks/lens.py measures it for captured activations)."""


@app.callback()
def _main(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Read the options of the command itself, and prepare the process for PyTorch where the command runs it."""
    if context.invoked_subcommand in COMPUTING:
        from lilliput.base.runtime import start

        start.begin(trains=context.invoked_subcommand in KEEPING)
