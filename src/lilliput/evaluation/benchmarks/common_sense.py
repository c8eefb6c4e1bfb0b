"""Common sense by likelihood: PIQA, HellaSwag, WinoGrande, Winograd, SocialIQA, CommonsenseQA, COPA."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lilliput.evaluation.benchmarks.task import TASKS, Item, Likelihood, Place, Record, choices


@TASKS.add("piqa")
class Piqa(Likelihood):
    """Everyday tasks (Bisk et al. 2020): the better of two ways to do them."""

    files = ("*piqa*",)
    hub = Place("baber/piqa", None, "validation")
    fields = ("goal", "sol1", "sol2", "label")
    metrics = ("acc", "acc_norm")
    harness = "piqa/piqa"

    def item(self, record: Record) -> Item:
        return choices(f"Question: {record['goal']}\nAnswer:", (record["sol1"], record["sol2"]), int(record["label"]))


@TASKS.add("hellaswag")
class HellaSwag(Likelihood):
    """The continuation of a scene (Zellers et al. 2019), among machine-made endings."""

    files = ("*hellaswag*",)
    hub = Place("Rowan/hellaswag", None, "validation")
    fields = ("activity_label", "ctx_a", "ctx_b", "endings", "label")
    metrics = ("acc", "acc_norm")
    harness = "hellaswag/hellaswag"

    def item(self, record: Record) -> Item:
        scene = f"{record['activity_label']}: {record['ctx_a']} {record['ctx_b'].capitalize()}"
        return choices(_cleaned(scene), [_cleaned(text) for text in record["endings"]], int(record["label"]))


def _cleaned(text: str) -> str:
    """Return the text without the marks that WikiHow's pages left in HellaSwag's texts."""
    text = text.strip().replace(" [title]", ". ")
    return re.sub(r"\[.*?\]", "", text).replace("  ", " ")


@TASKS.add("winogrande")
class WinoGrande(Likelihood):
    """Who is meant (Sakaguchi et al. 2020), by partial evaluation (Trinh and Le 2018): the end of the sentence is
    scored after either name."""

    files = ("*winogrande*",)
    hub = Place("allenai/winogrande", "winogrande_xl", "validation")
    fields = ("sentence", "option1", "option2", "answer")
    harness = "winogrande/winogrande"

    def item(self, record: Record) -> Item:
        before, _, after = record["sentence"].partition("_")
        ending = " " + after.strip()
        pairs = tuple((before + record[name], ending) for name in ("option1", "option2"))
        return Item(pairs, (("1", "2").index(record["answer"]),), (len(ending),) * 2)


@TASKS.add("winograd")
class Winograd(Likelihood):
    """The Winograd Schema Challenge (Levesque et al. 2012), in llm-foundry's form, by partial evaluation."""

    files = ("*winograd_wsc*", "*wsc273*")
    fields = ("context_options", "continuation", "gold")

    def item(self, record: Record) -> Item:
        ending = " " + record["continuation"].strip()
        pairs = tuple((context, ending) for context in record["context_options"])
        return Item(pairs, (record["gold"],), (len(ending),) * len(pairs))


@TASKS.add("social_iqa")
class SocialIQA(Likelihood):
    """Reasons and results of people's acts (Sap et al. 2019)."""

    files = ("*social_i_qa*", "*social_iqa*", "*siqa*")
    hub = Place("lighteval/siqa", None, "validation")
    fields = ("context", "question", "answerA", "answerB", "answerC", "label")
    harness = "siqa/social_iqa"

    def item(self, record: Record) -> Item:
        texts = [record[f"answer{letter}"] for letter in "ABC"]
        return choices(f"Q: {record['context']} {record['question']}\nA:", texts, int(record["label"]) - 1)


@TASKS.add("commonsense_qa")
class CommonsenseQA(Likelihood):
    """Questions around a concept (Talmor et al. 2019): the letter of one of five answers."""

    files = ("*commonsense_qa*", "*csqa*")
    hub = Place("tau/commonsense_qa", None, "validation")
    fields = ("question", "choices", "answerKey")
    harness = "commonsense_qa/commonsense_qa"

    def item(self, record: Record) -> Item:
        letters = "ABCDE"
        texts = record["choices"]["text"]
        options = "\n".join(f"{letter}. {text}" for letter, text in zip(letters, texts, strict=True))
        context = f"Question: {record['question'].strip()}\n{options}\nAnswer:"
        return choices(context, letters, letters.index(record["answerKey"]))


@TASKS.add("copa")
class Copa(Likelihood):
    """Cause or effect (Roemmele et al. 2011): the likelier of two sentences."""

    files = ("*copa*",)
    hub = Place("aps/super_glue", "copa", "validation")
    fields = ("premise", "choice1", "choice2", "question", "label")
    harness = "super_glue/copa/copa"

    def item(self, record: Record) -> Item:
        word = {"cause": "because", "effect": "therefore"}[record["question"]]
        # The harness' choices begin with a further space, so that two spaces stand before the sentence.
        texts = [" " + record[name][0].lower() + record[name][1:] for name in ("choice1", "choice2")]
        return choices(f"{record['premise'].strip()[:-1]} {word}", texts, int(record["label"]))

    def record(self, raw: Mapping[str, Any], file: Path | None) -> Record:
        return {name: raw[name] for name in self.fields}
