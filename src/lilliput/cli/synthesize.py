"""`lilliput data synthesize`: exercises from seed texts, of which only the verified ones are kept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from lilliput.cli.options import Json, whole
from lilliput.cli.texts import NeededData, Words, sort_words

if TYPE_CHECKING:
    from lilliput.worlds.exercises import Exercise


def synthesize(
    data: NeededData,
    words: Words = None,
    kind: Annotated[str, typer.Option(help="fill, question, rephrase or code.")] = "fill",
    endpoint: Annotated[str | None, typer.Option(help="An OpenAI-compatible endpoint that drafts.")] = None,
    model: Annotated[str | None, typer.Option(help="The model's name there.")] = None,
    run: Annotated[str | None, typer.Option(help="In place of an endpoint: a run that was trained to chat.")] = None,
    checker: Annotated[str | None, typer.Option(help="The name of another model there that checks.")] = None,
    out: Annotated[Path | None, typer.Option(help="The file of the rows. Left out: KIND.jsonl.")] = None,
    max_documents: Annotated[int | None, whole(help="Read at most this many seed texts.")] = None,
    tries: Annotated[int, typer.Option(min=1, help="Drafts of a text until one is kept.")] = 2,
    price: Annotated[
        tuple[float, float], typer.Option(help="Prices of a million characters that are sent, and that come back.")
    ] = (0.0, 0.0),
    seed: int = 0,
    json: Json = False,
) -> None:
    """Make training rows from seed texts: a part to fill in with its reasons, a question with its answer, the text in
    other words, or code that runs. A model drafts, a check decides, and only what passes is kept. The texts leave this
    machine where the endpoint is on another one."""
    from itertools import islice

    from lilliput.base import console
    from lilliput.base.errors import ConfigError
    from lilliput.base.registered import OneOf
    from lilliput.data.infer import data_config
    from lilliput.data.source import documents_of
    from lilliput.worlds.exercises import EXERCISES, endpoint_drafter, make, model_drafter

    console.use_json(json)
    settings, paths = sort_words(words, data)
    own = [word for word in settings if not word.startswith("data.")]
    exercise = cast("Exercise", OneOf(EXERCISES).build({"kind": kind, **_values(own)}))
    if (endpoint is None) == (run is None) or (endpoint is not None) != (model is not None):
        raise ConfigError(
            "name what drafts: an endpoint with its model, or a run",
            "--endpoint http://127.0.0.1:8000/v1 --model NAME, or --run RUN",
        )
    drafter = model_drafter(run) if run is not None else endpoint_drafter(str(endpoint), str(model))
    checks = drafter
    if checker is not None:
        if endpoint is None:
            raise ConfigError("--checker names a model of an endpoint", "name the endpoint too: --endpoint URL")
        checks = endpoint_drafter(endpoint, checker, 0.0)
    config = data_config(paths, [word for word in settings if word not in own])
    seeds = islice(
        (each for number, source in enumerate(config.sources) for each in documents_of(source, number)), max_documents
    )
    file = out or Path(f"{kind}.jsonl")
    with console.progress("drafting", max_documents, "texts") as bar:
        made = make(
            exercise, seeds, drafter, checks, file,
            tries=tries, seed=seed, price_in=price[0], price_out=price[1], progress=bar.advance,
        )  # fmt: skip
    if json:
        console.emit({"file": file, "seeds": made.seeds, "kept": made.kept, "refused": made.refused, **made.cost})
        return
    for reason, count in made.refused.most_common():
        console.print_line(f"refused: {count:,} {reason}")
    cost = made.cost
    console.print_line(
        f"kept {made.kept:,} of {made.seeds:,} in {console.typed(file)}; a kept row took {cost['questions_a_row']:.1f} "
        f"questions, {cost['characters_a_row']:,.0f} characters, {cost['seconds_a_row']:.1f} s"
        + (f", and cost {cost['price_a_row']:.6f}" if any(price) else "")
    )


def _values(assignments: list[str]) -> dict[str, object]:
    """Return the settings of an exercise, such as words=3."""
    from lilliput.base.config import override

    return override({}, assignments)
