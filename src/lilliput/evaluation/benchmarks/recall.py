"""Recall of the story world: who has what, by likelihood, for texts with more and more people."""

from __future__ import annotations

from collections.abc import Iterator

from lilliput.evaluation.benchmarks.task import TASKS, Item, Likelihood, Record, choices
from lilliput.storybook.belongings import ANSWER, ASK, belongings

PAIRS = (2, 4, 8, 12)
"""People of a text. A text of 12 has up to 135 words."""
DISTANCE = 4
"""Sentences between what people have and the question."""
ITEMS = 100
"""Questions for each number of people."""
SEED = 1_000_003
"""The seed of the texts, apart from the seeds that people train with."""


@TASKS.add("recall")
class Recall(Likelihood):
    """Questions such as "What does Tom have?" after sentences such as "Tom has a red ball.", made by the story world
    (storybook/belongings.py). The choices are what the people of the text have, so the chance of `acc` is 1 by their
    number. `greedy`: the model generates the thing itself. The parts are the numbers of people. Models learn the form
    from the source `belongings`; the texts here have another seed."""

    files = ()
    fields = ("told", "who", "things", "pairs")
    metrics = ("acc", "greedy")
    plain = False

    def made(self) -> Iterator[Record]:
        """Yield ITEMS questions for each of PAIRS."""
        for pairs in PAIRS:
            for number in range(ITEMS):
                text = belongings(SEED, number, pairs, DISTANCE, self.plain)
                names = [who for who, _ in text.pairs]
                yield {"told": text.told, "who": names[0], "things": [thing for _, thing in text.pairs], "pairs": pairs}

    def item(self, record: Record) -> Item:
        asked = f"{ASK.format(who=record['who'])} {ANSWER.format(who=record['who'])}"
        return choices(f"{record['told']} {asked}", [f"{thing}." for thing in record["things"]], 0)

    def group(self, record: Record) -> str:
        return f"{record['pairs']:02} pairs"


@TASKS.add("recall_plain")
class PlainRecall(Recall):
    """The same with texts that tell all that people have by the word "has", as the answers do: what follows "Tom has"
    in the text is the answer (the source `belongings` with `plain`)."""

    plain = True
