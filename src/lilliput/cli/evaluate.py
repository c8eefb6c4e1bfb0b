"""`lilliput evaluate`: score a model on held-out text in bits per byte and on benchmarks, with controls beside it."""

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lilliput.cli.options import Device, Json, Model, whole
from lilliput.cli.texts import Words, sort_words

if TYPE_CHECKING:
    from lilliput.assembly.evaluation import TextTable
    from lilliput.base.endpoint import Judge


def evaluate(
    model: Model,
    data: Annotated[
        list[str] | None,
        typer.Option(
            help="Score these texts (files, folders, globs, hf:NAME), one row each, instead of the run's validation."
        ),
    ] = None,
    words: Words = None,
    tasks: Annotated[
        str | None,
        typer.Option(help="Benchmarks, such as arc_easy,piqa; 'all': every benchmark in --task-data."),
    ] = None,
    task_data: Annotated[
        str | None, typer.Option(help="The file or folder of the benchmarks' items; without it, the hub's items.")
    ] = None,
    through: Annotated[str | None, typer.Option(help="lm-eval: also score through lm-evaluation-harness.")] = None,
    against: Annotated[list[str] | None, typer.Option(help="Another run to score too, such as a second seed.")] = None,
    controls: Annotated[bool, typer.Option(help="Also score untrained weights and n-gram models.")] = True,
    baselines: Annotated[str | None, typer.Option(help="Orders of the n-gram models, such as 1,2,3,4,5.")] = None,
    stride: Annotated[int | None, whole(help="Tokens by which a window moves; by default half the context.")] = None,
    overlap: Annotated[
        bool, typer.Option(help="Count the items that share a run of words with the training text.")
    ] = False,
    overlap_words: Annotated[int, typer.Option(help="Length of a shared run of words.")] = 13,
    max_tokens: Annotated[int | None, whole(help="Score a fixed part of about this many tokens.")] = None,
    max_items: Annotated[int | None, whole(help="Score a fixed part of each benchmark.")] = None,
    judge: Annotated[str | None, typer.Option(help="OpenAI-compatible address of a judge (MT-Bench).")] = None,
    judge_model: Annotated[str | None, typer.Option(help="The judge's model.")] = None,
    allow_code: Annotated[
        bool,
        typer.Option("--allow-code", help="Run HumanEval's programs without the sandbox; only if you trust the model."),
    ] = False,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Score a model on text and benchmarks. Text is scored in bits per byte, each document from its start, each token
    once."""
    from lilliput import api
    from lilliput.base import console
    from lilliput.base.errors import ConfigError

    console.use_json(json)
    if words and not data:
        raise ConfigError(
            f"{' '.join(words)}: evaluate takes one model", "name text with --data, another run with --against"
        )
    fit, data = sort_words(words, data)
    names = [name for name in (tasks or "").split(",") if name]
    result: dict[str, Any] = {"model": model}
    if not names and _has_scores(model):
        if data or against or overlap:
            raise ConfigError(
                f"{model} is a classifier, a tagger or a reward model, and is measured on the held-out rows of its run",
                "leave --data, --against and --overlap out; score texts of your own: lilliput score",
            )
        result |= api.evaluate_held_out(
            model, baselines=controls, device=device, max_tokens=max_tokens, notify=console.print_line
        )
        _print_held_out(result)
    elif data or not names:
        table = api.score_text(
            model,
            data,
            fit=fit,
            against=against or [],
            controls=controls,
            orders=_orders(baselines),
            stride=stride,
            device=device,
            max_tokens=max_tokens,
            notify=console.print_line,
        )
        result |= table.as_dict()
        _print_text(model, table)
    if names:
        result["benchmarks"] = api.benchmark(
            model,
            names,
            task_data,
            against=against or [],
            controls=controls,
            max_items=max_items,
            judge=make_judge(judge, judge_model),
            allow_code=allow_code,
            through=through,
            device=device,
            notify=console.print_line,
        )
        _print_benchmarks(result["benchmarks"])
    if overlap:
        chosen = sorted({row["task"] for row in result["benchmarks"]}) if names else []
        result["overlap"] = api.overlaps(
            model, chosen, task_data, data, fit=fit, n=overlap_words, max_items=max_items, notify=console.print_line
        )
        _print_overlap(result["overlap"])
    if json:
        console.emit(result)


def _has_scores(model: str) -> bool:
    from lilliput.generation.scoring import has_scores

    return has_scores(model)


def _print_held_out(found: dict[str, Any]) -> None:
    """Print the accuracies beside each other where there are some, else every figure."""
    from lilliput.base import console
    from lilliput.cli.printing import print_table
    from lilliput.runs.names import VAL_LOSS

    if "accuracies" in found and found.get("baselines"):
        rows = [
            (name, f"{one['accuracy']:.3f}", f"{one['low']:.3f} to {one['high']:.3f}")
            for name, one in found["accuracies"].items()
        ]
        print_table((f"{found['val_items']:,} held-out rows", "accuracy", "95% interval"), rows)
        console.print_line(f"{VAL_LOSS} {found[VAL_LOSS]:.4f} nats")
        return
    for name, value in found.items():
        if isinstance(value, int | float):
            console.print_line(f"{name} {value:,}" if isinstance(value, int) else f"{name} {value:.4f}")
    for name, error in found.get("baselines", {}).items():
        console.print_line(f"{name}: error {error:.4f}")


def make_judge(url: str | None, model: str | None) -> Judge | None:
    """Return the judge of --judge and --judge-model. Raises ConfigError for one option without the other."""
    from lilliput.base.endpoint import Judge
    from lilliput.base.errors import ConfigError

    if (url is None) != (model is None):
        raise ConfigError(
            "a judge needs an address and a model", "give both: --judge http://HOST:PORT/v1 and its model"
        )
    return Judge(url, model) if url and model else None


def _orders(text: str | None) -> list[int] | None:
    from lilliput.base.errors import ConfigError

    if text is None:
        return None
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not all(part.isdecimal() for part in parts):
        raise ConfigError(f"--baselines {text} is no list of orders", "write --baselines 1,2,3")
    return [int(part) for part in parts]


def _print_text(model: str, table: TextTable) -> None:
    from lilliput.base import console
    from lilliput.cli.printing import print_table

    total = table.total
    console.print_line(f"{total.bits_per_byte:.4f} bits per byte, perplexity {total.perplexity:.3f} a token")
    console.print_line(
        f"{total.tokens:,} tokens of {total.bytes:,} bytes in {total.seconds:.1f} s; windows of {total.context_length} "
        f"tokens, stride {total.stride}: past a document's start every token sees at least "
        f"{total.context_length - total.stride} others"
    )
    columns = {model: {name: score.bits_per_byte for name, score in table.sources.items()}} | table.controls
    columns[model]["total"] = total.bits_per_byte
    names = [*table.sources, "total"] if len(table.sources) > 1 else ["total"]
    if len(columns) > 1 or len(names) > 1:
        cells = [(name, *(f"{scores[name]:.4f}" for scores in columns.values())) for name in names]
        print_table(("bits per byte", *columns), cells)


def _print_benchmarks(rows: list[dict[str, Any]]) -> None:
    from lilliput.base import console
    from lilliput.cli.printing import print_table

    lines = []
    for row in rows:
        for name, found in row["scores"].items():
            lines.append(
                (
                    row["task"],
                    row["metric"],
                    f"{row['items']:,}",
                    name,
                    f"{found['score']:.4f}",
                    "-" if isnan(found["stderr"]) else f"{found['stderr']:.4f}",
                    f"{row['chance']:.4f}",
                    found["verdict"],
                )
            )
    print_table(("task", "metric", "items", "model", "score", "std. error", "chance", ""), lines)
    for row in rows:
        if row["cut"]:
            task = f"{row['task']} ({row['metric']})"
            console.print_line(f"{task}: {row['cut']:,} texts were longer than the context and lost their beginning")


def _print_overlap(table: dict[str, Any]) -> None:
    from lilliput.cli.printing import print_table

    lines = [
        (name, f"{one['items']:,}", f"{one['short']:,}", f"{one['found']:,}", _percent(one["share"]))
        for name, one in table.items()
    ]
    n = next(iter(table.values()))["n"]
    print_table((f"runs of {n} words in the training text", "items", "too short", "found", "share"), lines)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.2%}"
