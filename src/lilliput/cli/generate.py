"""`lilliput generate`: generate texts with a trained model, from an opening, to an ending, or between two texts."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lilliput.cli.options import Device, Json, Model, Temperature, whole

if TYPE_CHECKING:
    from lilliput.api import TextGenerator

CANDIDATES = 5
"""`--explain` shows this many of the likeliest tokens with each generated token."""


def generate(
    model: Model,
    opening: Annotated[str | None, typer.Argument(help="How the text begins.")] = None,
    ending: Annotated[str | None, typer.Option(help="How the text ends, for a model trained in reverse.")] = None,
    prefix: Annotated[
        str | None, typer.Option(help="The text before a missing middle, for a model of objective.kind=fim.")
    ] = None,
    suffix: Annotated[str | None, typer.Option(help="The text behind the missing middle.")] = None,
    temperature: Temperature = 0.8,
    top_k: Annotated[int, typer.Option(help="Keep the k likeliest tokens; 0 keeps all.")] = 0,
    top_p: Annotated[float, typer.Option(help="Keep the fewest likeliest tokens with this total probability.")] = 1.0,
    min_p: Annotated[float, typer.Option(help="Keep tokens at least this share as likely as the likeliest.")] = 0.0,
    repetition_penalty: Annotated[float, typer.Option(help="Above 1, repeated tokens become less likely.")] = 1.0,
    seed: Annotated[int, typer.Option(help="The same seed generates the same text.")] = 0,
    max_tokens: Annotated[int, whole(help="At most this many new tokens.")] = 512,
    n: Annotated[int, typer.Option("-n", "--n", help="How many texts.")] = 1,
    stop: Annotated[list[str] | None, typer.Option(help="A text to stop before; may be given again.")] = None,
    window: Annotated[
        bool, typer.Option("--window", help="Continue past a full context, by a sliding window.")
    ] = False,
    beams: Annotated[int, typer.Option(help="Search this many beams for the likeliest texts; 0 draws.")] = 0,
    json_schema: Annotated[str | None, typer.Option(help="Generate JSON of this schema: a file, or {...}.")] = None,
    regex: Annotated[str | None, typer.Option(help="Generate text that this regular expression matches.")] = None,
    choice: Annotated[
        list[str] | None, typer.Option(help="Generate one of these texts; repeat it for each text.")
    ] = None,
    steer: Annotated[
        list[str] | None,
        typer.Option(metavar="FOLDER:FEATURE=STRENGTH", help="Add a feature at every token; may be given again."),
    ] = None,
    draft: Annotated[str | None, typer.Option(help="A smaller model that drafts tokens for MODEL.")] = None,
    compare: Annotated[
        bool,
        typer.Option("--compare", help="Generate without the constraint (or draft) too, and report both."),
    ] = False,
    explain: Annotated[bool, typer.Option("--explain", help="Show each token with its candidates.")] = False,
    logprobs: Annotated[bool, typer.Option("--logprobs", help="Show each token's log-probability.")] = False,
    int8: Annotated[bool, typer.Option("--int8", help="Use int8 weights: faster on a CPU, texts may differ.")] = False,
    compile: Annotated[
        bool | None,
        typer.Option(help="Compiled steps, or PyTorch's. Default: compiled on a CPU with a C++ compiler."),
    ] = None,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Generate a text with a trained model. It is printed token by token, and stops at the end of the story."""
    from lilliput import api
    from lilliput.base import console
    from lilliput.generation.constraints import constraint

    console.use_json(json)
    shown = {"--explain": explain, "--logprobs": logprobs}
    given = {"--stop": stop, "--window": window, **shown}
    made = {"--json-schema": json_schema, "--regex": regex, "--choice": choice}
    drawn = {"-n": n != 1, "--repetition-penalty": repetition_penalty != 1, "--compare": compare}
    _apart("--beams", beams, {**given, **made, **drawn, "--draft": draft})
    _apart("--draft", draft, {**given, **made})
    if compare and not (draft or any(made.values())):
        _refuse("--compare generates without a constraint or a draft, and there is neither", "add --regex or --draft")
    generator = api.load(model, device, console.aside, int8, compile)
    sampling: dict[str, Any] = {
        "temperature": temperature,
        "top_k": top_k,
        "top_p": top_p,
        "min_p": min_p,
        "repetition_penalty": repetition_penalty,
        "seed": seed,
        "max_tokens": max_tokens,
    }
    opening, ending = generator.sides(opening, ending, prefix, suffix)
    report: dict[str, Any] = {"model": model, "opening": opening, "ending": ending}
    report |= {"steer": steer} if steer else {}
    with _steered(generator, steer or ()):
        if beams:
            _search(generator, report, beams, max_tokens)
        elif draft:
            drafter = api.load(draft, device, int8=int8, compile=compile)
            _draft(generator, drafter, report, compare, {**sampling, "n": n})
        else:
            made_by = constraint(generator.tokenizer, json_schema, regex, choice or ())
            sampling |= {"constraint": made_by, "window": window}
            continues = generator.objective.reads_forwards and not generator.objective.reads_source
            streams = continues and ending is None
            if json or n != 1 or not streams or compare or any(shown.values()):
                _whole(generator, report, {**sampling, "n": n, "stop": stop or ()}, explain, logprobs, compare)
            else:
                _stream(generator, opening, ending, {**sampling, "stop": stop or ()})
                return
    if json:
        console.emit(_filled(report) if generator.objective.fills and ending is not None else report)


def _filled(report: dict[str, Any]) -> dict[str, Any]:
    """Return the report of texts whose middle was generated: the sides by their names, and the middles alone."""
    prefix, suffix = report["opening"] or "", report["ending"]
    rest = {key: value for key, value in report.items() if key not in ("opening", "ending")}
    middles = [text[len(prefix) : len(text) - len(suffix)] for text in report["texts"]]
    return {**rest, "prefix": prefix, "suffix": suffix, "middles": middles}


def _steered(generator: TextGenerator, steer: Sequence[str]) -> AbstractContextManager[None]:
    """Steer the model by the features of --steer while the body generates."""
    if not steer:
        return nullcontext()
    from lilliput.lens.steering import steered

    return steered(generator.model, steer)


def _apart(name: str, used: object, others: dict[str, object]) -> None:
    clash = [other for other, value in others.items() if value]
    if used and clash:
        _refuse(f"{name} cannot be used with {' and '.join(clash)}", "leave out one of them")


def _refuse(message: str, hint: str) -> None:
    from lilliput.base.errors import ConfigError

    raise ConfigError(message, hint)


def _stream(generator: TextGenerator, opening: str | None, ending: str | None, options: dict[str, Any]) -> None:
    pieces = generator.stream(opening, ending, **options)
    sys.stdout.write(opening or "")
    for piece in pieces:
        sys.stdout.write(piece)
        sys.stdout.flush()
    sys.stdout.write("\n")


def _whole(
    generator: TextGenerator,
    report: dict[str, Any],
    options: dict[str, Any],
    explain: bool,
    logprobs: bool,
    compare: bool,
) -> None:
    """Generate whole texts into `report`, and print them with the requested details."""
    from lilliput.base import console
    from lilliput.decoding.explain import as_plain, table
    from lilliput.generation.constraints import without_constraint

    sides = report["opening"], report["ending"]
    found = generator.generate_detailed(*sides, **options, alternatives=CANDIDATES if explain else 0)
    report["texts"] = [generator.whole(text, *sides) for text in found]
    report["finishes"] = [text.finish for text in found]
    if explain or logprobs:
        report["tokens"] = [as_plain(text.tokens, generator.tokenizer) for text in found]
    if compare:
        unconstrained = {key: value for key, value in options.items() if key != "constraint"}
        report["unconstrained"] = without_constraint(generator, options["constraint"], *sides, **unconstrained)
    if console.json_mode():
        return
    for place, (printed, text) in enumerate(zip(report["texts"], found, strict=True)):
        console.print_line(("\n\n---\n\n" if place else "") + printed)
        if explain or logprobs:
            console.console.print(table(text.tokens, generator.tokenizer))
    if generator.objective.fills and sides[1] is not None and any(text.finish != "stop" for text in found):
        most = options["max_tokens"]
        console.aside(f"a middle did not end by itself within {most:,} tokens, so it may not lead to the suffix")
    if compare:
        valid, texts = report["unconstrained"]["valid"], report["unconstrained"]["texts"]
        ended = sum(finish == "stop" for finish in report["finishes"])
        console.print_line(f"\nvalid: {ended} of {len(found)} with the constraint, {valid} of {texts} without it")


def _search(generator: TextGenerator, report: dict[str, Any], beams: int, max_tokens: int) -> None:
    from lilliput.base import console

    found = generator.search(report["opening"], report["ending"], beams, max_tokens)
    report["texts"] = [text for text, _ in found]
    report["beams"] = [
        {"log_probability": beam.log_probability, "tokens": len(beam.ids), "score": beam.score} for _, beam in found
    ]
    if not console.json_mode():
        parts = [f"{beam.score:.3f} nats a token, {beam.log_probability:.2f} in all\n{text}" for text, beam in found]
        console.print_line("\n\n---\n\n".join(parts))


def _draft(
    generator: TextGenerator, drafter: TextGenerator, report: dict[str, Any], compare: bool, sampling: dict[str, Any]
) -> None:
    from lilliput.base import console
    from lilliput.generation.constraints import with_draft

    sides = report["opening"], report["ending"]
    report["texts"], figures = with_draft(generator, drafter, *sides, compare, **sampling)
    report["speculation"] = figures
    if not console.json_mode():
        console.print_line("\n\n---\n\n".join(report["texts"]))
        line = (
            f"\n{figures['acceptance']:.0%} of {figures['drafted']} drafted tokens accepted; {figures['tokens']} tokens"
        )
        line += f" in {figures['passes']} passes"
        console.print_line(
            line + (f"; {figures['speed_up']:.2f} times as fast as without the draft" if compare else "")
        )
