"""A benchmark: which of two things a tale names."""

from __future__ import annotations

from lilliput.evaluation.benchmarks.task import TASKS, Item, Likelihood, Record, choices


@TASKS.add("tales")
class Tales(Likelihood):
    """The likelier of two ends of a sentence."""

    files = ("tales*.jsonl",)
    fields = ("beginning", "ends", "answer")
    metrics = ("acc", "acc_norm")

    def item(self, record: Record) -> Item:
        return choices(record["beginning"], record["ends"], record["answer"])
