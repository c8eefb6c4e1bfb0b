"""What redaction finds: details by their forms and names by lists or a tagger, on planted values and on WNUT-17.

    python benchmarks/redaction.py --news FILE --wnut FILE [--tagger RUN]

Planted values are Faker's, which follow their own rules, one for each of --count news articles: the recall of `redact`
for each kind of detail, and what it replaces in articles without planted values. Names: of all words that belong to a
person, a place or an organisation in WNUT-17 (tweets and comments) or to planted people, the share that the step
`names` replaces (recall), and of all words that it replaces the share that belong to one (precision).
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.table import Table

from lilliput.base.console import console, emit, use_json
from lilliput.cli.main import one_line_errors
from lilliput.data.infer import infer_sources
from lilliput.data.steps.names import TYPES, by_lists
from lilliput.data.steps.redact import KINDS, Redact
from lilliput.data.steps.tagging import Span, Tagger, tagger
from lilliput.generation.tagging import install

SENTENCES = {
    "mail": "Write to {} today.",
    "phone": "Call {} before noon.",
    "card": "The card {} was charged.",
    "iban": "Send the money to {} please.",
    "ip": "The request came from {} twice.",
    "address": "He lives at {} now.",
    "person": "It was {} who said so.",
}


def texts_of(path: Path, count: int) -> list[str]:
    """Return the first texts of a file."""
    (source,) = infer_sources([str(path)])
    return [document.text for document in islice(source.documents(), count)]


def makers(seed: int) -> dict[str, Callable[[], str]]:
    """Return what makes a value of each kind, by Faker."""
    from faker import Faker

    faker = Faker(["en_US", "en_GB", "de_DE"])
    Faker.seed(seed)
    english = Faker("en_US")
    return {
        "mail": faker.email,
        "phone": faker.phone_number,
        "card": lambda: english.credit_card_number(),
        "iban": faker.iban,
        "ip": english.ipv4_public,
        "address": english.street_address,
        "person": lambda: f"{Faker('en_GB').first_name()} {Faker('en_GB').last_name()}",
    }


def details(texts: Sequence[str], seed: int) -> dict[str, dict[str, float]]:
    """Return recall of planted values, and replacements in texts without them, by kind."""
    rng, made, found = random.Random(seed), makers(seed), dict[str, dict[str, float]]()
    for kind in KINDS:
        step, hits = Redact(details=(kind,)), 0
        for text in texts:
            value, lines = made[kind](), text.split("\n")
            place = rng.randrange(len(lines) + 1)
            hits += value not in step.redacted(
                "\n".join([*lines[:place], SENTENCES[kind].format(value), *lines[place:]])
            )
        tag, mark = f"[{kind.upper()}]", Redact(details=(kind,))
        alone = sum(mark.redacted(text).count(tag) - text.count(tag) for text in texts)
        precision = hits / (hits + alone) if hits + alone else float("nan")
        found[kind] = {"recall": hits / len(texts), "precision": precision}
    return found


def conll(path: Path) -> Iterator[tuple[str, list[Span]]]:
    """Yield the sentences of a CoNLL file, with the entities that the step knows."""
    (source,) = infer_sources([str(path)])
    for document in source.documents():
        assert document.example is not None
        text, spans, place = "", list[Span](), 0
        for word, tag in zip(document.example.row["words"], document.example.row["tags"], strict=True):
            text += f"{word} "
            kind = TYPES.get(str(tag).partition("-")[2].lower())
            if kind is not None:
                spans.append((place, place + len(word), kind))
            place = len(text)
        yield text, spans


def words_in(text: str, spans: Sequence[Span]) -> set[int]:
    """Return the first characters of the words that lie in spans of known kinds."""
    known = [(start, stop) for start, stop, kind in spans if kind.lower() in TYPES]
    starts = (found.start() for found in re.finditer(r"\w[\w'’-]*", text))
    return {at for at in starts if any(start <= at < stop for start, stop in known)}


def score(rows: Sequence[tuple[str, list[Span]]], find: Tagger) -> dict[str, float]:
    """Return recall, precision and F1 by words."""
    right = ours = theirs = 0
    for (text, wanted), found in zip(rows, find([text for text, _ in rows]), strict=True):
        mine, true = words_in(text, found), words_in(text, wanted)
        right, ours, theirs = right + len(mine & true), ours + len(mine), theirs + len(true)
    recall, precision = right / max(theirs, 1), right / max(ours, 1)
    f1 = 2 * recall * precision / (recall + precision) if right else 0.0
    return {"recall": recall, "precision": precision, "f1": f1, "words": theirs}


def planted(texts: Sequence[str], seed: int) -> list[tuple[str, list[Span]]]:
    """Return sentences with a planted person, whose other names are unknown: only recall is read of them."""
    person = makers(seed)["person"]
    rows: list[tuple[str, list[Span]]] = []
    for _ in texts:
        name = person()
        before, _, after = SENTENCES["person"].partition("{}")
        rows.append((before + name + after, [(len(before), len(before) + len(name), "person")]))
    return rows


app = typer.Typer(add_completion=False)


@app.command(help="Recall and precision of redaction.")
def main(
    news: Annotated[Path, typer.Option(help="A file of texts without personal details.")],
    wnut: Annotated[Path, typer.Option(help="WNUT-17 in CoNLL's columns.")],
    tagger_run: Annotated[str | None, typer.Option("--tagger", help="The run of a tagger.")] = None,
    count: Annotated[int, typer.Option(min=1, help="Texts.")] = 500,
    seed: int = 1,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    use_json(json)
    install()
    texts = texts_of(news, count)
    found: dict[str, Any] = {"details": details(texts, seed), "names": {}}
    sentences, people = list(conll(wnut)), planted(texts, seed)
    finders: dict[str, Tagger] = {"lists": lambda texts: [by_lists(text) for text in texts]}
    if tagger_run is not None:
        finders[tagger_run] = tagger(tagger_run)
    for name, find in finders.items():
        found["names"][name] = {"WNUT-17": score(sentences, find), "planted people": score(people, find)}
    shown = Table(box=box.SIMPLE_HEAD)
    for title in ("", "recall", "precision"):
        shown.add_column(title)
    for kind, row in found["details"].items():
        shown.add_row(kind, f"{row['recall']:.3f}", f"{row['precision']:.3f}")
    for name, parts in found["names"].items():
        for where, row in parts.items():
            shown.add_row(f"names by {name}, {where}", f"{row['recall']:.3f}", f"{row['precision']:.3f}")
    console.print(shown)
    if json:
        emit(found)


if __name__ == "__main__":
    with one_line_errors():
        app()
