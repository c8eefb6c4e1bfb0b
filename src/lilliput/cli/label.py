"""`lilliput label`: people write, rank and rate; their agreement, its cost, and the rows to train on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

USED: dict[str, frozenset[str]] = {
    "--agreement": frozenset({"agreement", "json"}),
    "--report": frozenset({"report", "hourly_wage", "json"}),
    "--export": frozenset({"export", "to", "replace", "labeller", "json"}),
}
"""Options that each form without RUN uses."""


def label(
    context: typer.Context,
    model: Annotated[
        str | None, typer.Argument(metavar="RUN", help="A run, a checkpoint or a Hugging Face folder.")
    ] = None,
    mode: Annotated[
        Literal["demonstrate", "rank", "rate"],
        typer.Option(help="Write completions, rank replies side by side, or rate single replies."),
    ] = "rank",
    prompts: Annotated[
        str, typer.Option(help="JSONL, YAML, or a prompt a line; 'story': built-in openings.")
    ] = "story",
    limit: Annotated[int | None, typer.Option(min=1, help="Prompts at most; of 'story' 40 where left out.")] = None,
    samples: Annotated[int | None, typer.Option(help="Replies of a prompt: rank 2 to 4, rate 1 to 4.")] = None,
    temperature: Annotated[float, typer.Option(help="At most 2.")] = 0.8,
    max_tokens: Annotated[int, typer.Option(help="Most tokens of a reply.")] = 200,
    seed: Annotated[int, typer.Option(help="The same seed generates the same replies, in the same orders.")] = 0,
    chat: Annotated[
        bool | None, typer.Option(help="Prompts are messages, or texts to continue. Left out: as the model was taught.")
    ] = None,
    labeller: Annotated[str | None, typer.Option(help="Who labels; the login name where left out.")] = None,
    labels: Annotated[Path | None, typer.Option(help="The labels file; labels/RUN.jsonl where left out.")] = None,
    hourly_wage: Annotated[float | None, typer.Option(min=0, help="For the cost, in any currency.")] = None,
    page: Annotated[bool, typer.Option("--page", help="Label on a page in a browser on this machine.")] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Of the page; 0 takes any free port.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    agreement: Annotated[
        list[Path] | None, typer.Option(help="Print how far the labellers of this file agree. Repeatable.")
    ] = None,
    report: Annotated[
        list[Path] | None, typer.Option(help="Print answers, minutes and cost of this labels file. Repeatable.")
    ] = None,
    export: Annotated[
        list[Path] | None, typer.Option(help="Write this labels file as rows to train on. Repeatable.")
    ] = None,
    to: Annotated[Path | None, typer.Option(help="The folder of --export.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Let --export replace files.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Label a model's replies by the keyboard: write demonstrations, rank 2 to 4 replies blind, or rate single replies.
    Each answer is stored at once; the same command goes on. Then: --agreement, --report, --export FILE --to FOLDER."""
    from lilliput.base import console

    console.use_json(json)
    _one_of({"RUN": model, "--agreement": agreement, "--report": report, "--export": export})
    _belongs("--to", to, "--export", export)
    _belongs("--replace", replace, "--export", export)
    _belongs("--port", port, "--page", page)
    if agreement:
        _alone(context, "--agreement")
        _agreement(agreement)
    elif report:
        _alone(context, "--report")
        _report(report, hourly_wage)
    elif export:
        _alone(context, "--export")
        _export(export, to, labeller, replace)
    else:
        from lilliput import api

        assert model is not None
        options = api.LabelOptions(
            mode=mode,
            prompts=prompts,
            limit=limit,
            samples=samples,
            temperature=temperature,
            max_tokens=max_tokens,
            seed=seed,
            chat=chat,
            labeller=labeller,
            labels=labels,
            hourly_wage=hourly_wage,
            page=page,
            port=port,
            device=device,
        )
        result = api.label(model, options, notify=_notify)
        _emit(result, lambda: _print_labelled(result))


def _notify(text: str) -> None:
    import sys

    from lilliput.base import console

    console.print_line(text)
    sys.stdout.flush()  # a program that reads the page's address from a pipe gets it at once


def _one_of(given: dict[str, Any]) -> None:
    from lilliput.base.errors import ConfigError

    named = [name for name, value in given.items() if value]
    if len(named) != 1:
        message = f"{' and '.join(named)} cannot be used together" if named else "there is nothing to label or to read"
        raise ConfigError(message, "lilliput label RUN, or one of --agreement, --report, --export with a labels file")


def _belongs(name: str, value: object, other: str, used: object) -> None:
    from lilliput.base.errors import ConfigError

    if value and not used:
        raise ConfigError(f"{name} belongs to {other}", f"add {other}, or leave {name} out")


def _alone(context: typer.Context, form: str) -> None:
    """Raise ConfigError for an option that this form would leave unused."""
    from lilliput.base.errors import ConfigError

    sources = {name: context.get_parameter_source(name) for name in context.params if name not in USED[form]}
    if unused := [name for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"]:
        raise ConfigError(f"{form} does not use --{unused[0].replace('_', '-')}", "leave it out")


def _emit(result: dict[str, Any], show: Any) -> None:
    from lilliput.base import console

    if console.json_mode():
        console.emit(result)
    else:
        show()


# ---------------------------------------------------------------------------- what the reporting forms print


def _agreement(files: list[Path]) -> None:
    from lilliput.base.console import print_line
    from lilliput.cli.printing import print_table
    from lilliput.lab.labelling.agreement import agreement
    from lilliput.lab.labelling.store import read_all

    found = agreement(read_all(files, print_line))

    def show() -> None:
        for row in found:
            one, other = row["labellers"]
            print_line(f"{row['mode']}: {one} and {other}, {row['items']} items, {row['judgements']} judgements")
            low, high = row["percent_interval"]
            print_line(f"  agree on {row['agreed']}: {row['percent']:.1f}% [{low:.1f}, {high:.1f}]")
            print_line(f"  Cohen's kappa: {_kappa(row)}")
            if row["different"]:
                print_line(f"  left out: {row['different']} items whose replies differ between the two")
            names = sorted({*row["counts"], *(name for counts in row["counts"].values() for name in counts)})
            rows = [(name, *(str(row["counts"].get(name, {}).get(its, 0)) for its in names)) for name in names]
            print_table((f"{one} (rows), {other}", *names), rows)

    _emit({"agreement": found}, show)


def _kappa(row: dict[str, Any]) -> str:
    if row["kappa"] is None:
        return "not defined: both gave one and the same label throughout"
    low, high = row["kappa_interval"]
    return f"{row['kappa']:.2f} [{low:.2f}, {high:.2f}] (1 is full agreement, 0 is chance)"


def _report(files: list[Path], wage: float | None) -> None:
    from lilliput.base.console import print_line
    from lilliput.lab.labelling.figures import figures
    from lilliput.lab.labelling.store import read_all

    result = figures(read_all(files, print_line), wage)
    _emit(result, lambda: _print_figures(result))


def _export(files: list[Path], to: Path | None, labeller: str | None, replace: bool) -> None:
    from lilliput.base.console import print_line, typed
    from lilliput.base.errors import ConfigError
    from lilliput.lab.labelling.exporting import export
    from lilliput.lab.labelling.store import read_all

    if to is None:
        raise ConfigError("--export needs a folder", f"lilliput label --export {typed(files[0])} --to FOLDER")
    written = export(read_all(files, print_line), to, labeller, replace)

    def show() -> None:
        for path, rows in written.items():
            print_line(f"{path}: {rows} rows")

    _emit({"files": written}, show)


def _print_figures(result: dict[str, Any]) -> None:
    from lilliput.base.console import print_line
    from lilliput.cli.printing import print_table

    head = ("labeller", "answers", "skips", "undone", "minutes", "an hour", "median s", "cost", "an answer")
    rows = [_row(name, figures) for name, figures in result["labellers"].items()]
    if len(rows) != 1:
        rows.append(_row("all", result))
    print_table(head, rows)
    modes = ", ".join(f"{mode} {count}" for mode, count in result["by_mode"].items())
    if modes:
        print_line(f"answers by mode: {modes}")
    if sum(places := result["first_places"]):
        shown = ", ".join(f"{place}: {count}" for place, count in enumerate(places, start=1) if count)
        print_line(f"the best reply was shown at place {shown}")


def _row(name: str, figures: dict[str, Any]) -> tuple[str, ...]:
    counts = (str(figures[key]) for key in ("answers", "skips", "undone"))
    keys = (("minutes", 1), ("answers_per_hour", 0), ("median_seconds", 1), ("cost", 2), ("cost_per_answer", 3))
    return (name, *counts, *("-" if figures[key] is None else f"{figures[key]:.{digits}f}" for key, digits in keys))


def _print_labelled(result: dict[str, Any]) -> None:
    from lilliput.base.console import command, print_line, typed

    file = typed(Path(result["labels"]))
    if not result["labellers"]:
        print_line("no answer was stored")
        return
    _print_figures(result)
    print_line(f"labels      {file}")
    print_line("\nnext:")
    print_line(f"  {command()} label --export {file} --to {typed(Path(result['labels']).with_suffix(''))}")
    print_line(f"  {command()} label --agreement {file}   # once a second person has labelled the same items")
