"""Science and school knowledge by likelihood: ARC, SciQ, OpenBookQA, MMLU."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from lilliput.evaluation.benchmarks.task import TASKS, Item, Likelihood, Place, Record, choices


@TASKS.add("arc_easy")
class ArcEasy(Likelihood):
    """AI2 Reasoning Challenge, the easy questions (Clark et al. 2018): chance is about 1/4, some have 3 or 5
    choices."""

    files: ClassVar[tuple[str, ...]] = ("*ARC-Easy*", "*arc_easy*")
    hub = Place("allenai/ai2_arc", "ARC-Easy", "test")
    fields = ("question", "choices", "answerKey")
    metrics = ("acc", "acc_norm")
    harness: ClassVar[str | None] = "arc/arc_easy"

    def item(self, record: Record) -> Item:
        options = record["choices"]
        gold = options["label"].index(record["answerKey"])
        return choices(f"Question: {record['question']}\nAnswer:", options["text"], gold)

    def record(self, raw: Mapping[str, Any], file: Path | None) -> Record:
        if "gold" not in raw:
            return dict(raw)
        # llm-foundry's form: the question with its "Question: ", the choices as a list, the place of the right one.
        labels = [chr(ord("A") + place) for place in range(len(raw["choices"]))]
        return {
            "question": raw["query"].removeprefix("Question: "),
            "choices": {"text": raw["choices"], "label": labels},
            "answerKey": labels[raw["gold"]],
        }


@TASKS.add("arc_challenge")
class ArcChallenge(ArcEasy):
    """AI2 Reasoning Challenge, the questions that retrieval and co-occurrence got wrong."""

    files = ("*ARC-Challenge*", "*arc_challenge*")
    hub = Place("allenai/ai2_arc", "ARC-Challenge", "test")
    harness = "arc/arc_challenge"


@TASKS.add("openbookqa")
class OpenBookQA(Likelihood):
    """Elementary science without its book of facts (Mihaylov et al. 2018)."""

    files = ("*openbookqa*",)
    hub = Place("allenai/openbookqa", "main", "test")
    fields = ("question_stem", "choices", "answerKey")
    metrics = ("acc", "acc_norm")
    harness = "openbookqa/openbookqa"

    def item(self, record: Record) -> Item:
        options = record["choices"]
        return choices(record["question_stem"], options["text"], options["label"].index(record["answerKey"].lstrip()))


@TASKS.add("sciq")
class SciQ(Likelihood):
    """Crowdsourced science questions with the passage that supports the answer (Welbl et al. 2017)."""

    files = ("*sciq*",)
    hub = Place("allenai/sciq", None, "test")
    fields = ("question", "distractor1", "distractor2", "distractor3", "correct_answer", "support")
    metrics = ("acc", "acc_norm")
    harness = "sciq/sciq"

    def item(self, record: Record) -> Item:
        texts = [record[name] for name in ("distractor1", "distractor2", "distractor3", "correct_answer")]
        return choices(f"{record['support'].lstrip()}\nQuestion: {record['question']}\nAnswer:", texts, 3)


@TASKS.add("mmlu")
class Mmlu(Likelihood):
    """57 subjects from school to profession (Hendrycks et al. 2021), without examples: the letter of the answer."""

    files = ("*mmlu*test*", "*mmlu*validation*", "*mmlu*")
    hub = Place("cais/mmlu", "all", "test")
    fields = ("subject", "question", "choices", "answer")

    def item(self, record: Record) -> Item:
        letters = "ABCD"
        options = "\n".join(f"{letter}. {text}" for letter, text in zip(letters, record["choices"], strict=True))
        subject = record["subject"].replace("_", " ")
        intro = f"The following are multiple choice questions (with answers) about {subject}.\n\n"
        return choices(f"{intro}{record['question'].strip()}\n{options}\nAnswer:", letters, int(record["answer"]))

    def group(self, record: Record) -> str:
        return record["subject"]

    def harness_task(self, record: Record) -> str:
        return f"mmlu/default/mmlu_{record['subject']}"
