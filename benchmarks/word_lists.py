"""What the shipped word lists find: planted toxic and biased sentences, and clean text that has to stay.

    python benchmarks/word_lists.py --clean FILE [FILE ...]

Half of the planted sentences of each list use a word or a phrase that such lists hold, in a sentence of another kind
than the list's own. The other half say the same in plain words, which no list finds. So the recall is that of the
easy half, and the hard half shows what a list cannot do.
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.table import Table

from lilliput.base.console import console, emit, use_json
from lilliput.cli.main import one_line_errors
from lilliput.data.document import Document
from lilliput.data.infer import infer_sources
from lilliput.data.steps import Dropped
from lilliput.data.steps.word_lists import WordList

PLANTED = {
    "toxic": {
        "easy": (
            "Get lost, you idiot, nobody asked you.", "What a load of bullshit that speech was.",
            "He called the referee a moron and threw a cup.", "Shut up and sit down, all of you.",
            "That bastard stole my bike again.", "You are pathetic and everyone knows it.",
            "She yelled go to hell and slammed the door.", "These retards cannot even count to ten.",
            "I hate you and your whole family.", "The fucking printer is broken again.",
            "Piss off before I call my brothers.", "Those assholes cut in line.",
        ),
        "hard": (
            "Someone like you should never have been born.", "I hope your house burns down with you in it.",
            "Everything that comes out of your mouth is garbage.", "Nobody would notice if you vanished.",
            "People of that kind ought to be locked away.", "I will make you regret the day we met.",
            "Your face makes children cry.", "Go play in traffic.", "You have the brain of a stone.",
            "The world would be better without your sort.", "Crawl back under your rock.", "You smell like a sewer.",
        ),
    },
    "biased": {
        "easy": (
            "Football is hard, and girls can't play it.", "He threw the ball like a girl and all laughed.",
            "Come on, man up and stop the tears.", "Everyone knows that women are bad at maths.",
            "Nursing is a woman's job, he said.", "Remember that boys don't cry, said the uncle.",
            "The explorers feared the savages of the island.", "At sixty he was too old to learn a trade.",
            "Those people are all thieves.", "She was an old maid, and so she was bitter.",
            "The poor cripple sat at the gate.", "Only men can lead a team like ours.",
        ),
        "hard": (
            "A lady driver, so of course she hit the wall.", "For someone from there he speaks well.",
            "Leave the numbers to the men, dear.", "He is poor because his kind is lazy.",
            "Old folk only slow the rest of us down.", "She got the job for her looks.",
            "You know how foreigners are with money.", "A real family has a father who earns.",
            "With that accent he must be a waiter.", "Blind people should stay at home.",
            "Such clothes are for the other sex.", "People from the south never work.",
        ),
    },
}  # fmt: skip


def found(name: str, texts: tuple[str, ...] | list[str]) -> float:
    """Return the share of texts that a list drops."""
    outcomes = WordList(words=name).apply_all([Document(text, str(number)) for number, text in enumerate(texts)])
    return sum(isinstance(outcome, Dropped) for outcome in outcomes) / len(texts)


app = typer.Typer(add_completion=False)


@app.command(help="What each word list drops.")
def main(
    clean: Annotated[list[Path], typer.Option(help="A file of clean documents. Repeatable.")],
    count: Annotated[int, typer.Option(min=1, help="Documents of each file.")] = 2000,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    use_json(json)
    rows: dict[str, dict[str, float]] = {}
    for name, halves in PLANTED.items():
        rows[name] = {half: found(name, texts) for half, texts in halves.items()}
        for path in clean:
            (source,) = infer_sources([str(path)])
            rows[name][path.name] = found(name, [document.text for document in islice(source.documents(), count)])
    shown = Table(box=box.SIMPLE_HEAD)
    for title in ("", *next(iter(rows.values()))):
        shown.add_column(title)
    for name, row in rows.items():
        shown.add_row(name, *(f"{share:.3f}" for share in row.values()))
    console.print(shown)
    if json:
        emit({"dropped": rows})


if __name__ == "__main__":
    with one_line_errors():
        app()
