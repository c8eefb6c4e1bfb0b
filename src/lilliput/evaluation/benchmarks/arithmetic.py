"""Calculating and counting by likelihood: AllenAI's basic arithmetic, llm-foundry's arithmetic and Dyck words."""

from __future__ import annotations

from lilliput.evaluation.benchmarks.task import TASKS, Item, Likelihood, Record, choices


@TASKS.add("basic_arithmetic")
class BasicArithmetic(Likelihood):
    """Sums and differences with four numbers to choose from."""

    files = ("*basic_arithmetic*",)
    fields = ("question", "choices", "answerKey")

    def item(self, record: Record) -> Item:
        options = record["choices"]
        return choices(record["question"], options["text"], options["label"].index(record["answerKey"]))


@TASKS.add("simple_arithmetic")
class SimpleArithmetic(Likelihood):
    """'25-759=' and its result, which the model generates itself; without a space, because the file has none."""

    files = ("*simple_arithmetic*",)
    fields = ("context", "continuation")
    metrics = ("greedy",)

    def item(self, record: Record) -> Item:
        return choices(record["context"], (record["continuation"],), 0, gap="")


@TASKS.add("dyck_languages")
class DyckLanguages(Likelihood):
    """Open brackets and the missing closing brackets (BIG-bench), which the model generates itself."""

    files = ("*dyck_languages*",)
    fields = ("context", "continuation")
    metrics = ("greedy",)

    def item(self, record: Record) -> Item:
        return choices(record["context"], (record["continuation"],), 0)
