"""Language itself by likelihood: BLiMP's minimal pairs, LAMBADA's last words."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lilliput.evaluation.benchmarks.task import TASKS, Item, Likelihood, Place, Record, choices


@TASKS.add("blimp")
class Blimp(Likelihood):
    """67 grammatical contrasts of 1,000 minimal pairs (Warstadt et al. 2020): the sound sentence must be the likelier.
    On the hub each contrast is a configuration of its own; a local folder holds any number of them."""

    files = ("blimp/*.jsonl*", "*blimp*", "*.jsonl*")
    fields = ("sentence_good", "sentence_bad", "UID")

    def item(self, record: Record) -> Item:
        return choices("", (record["sentence_good"], record["sentence_bad"]), 0)

    def group(self, record: Record) -> str:
        return record["UID"]

    def harness_task(self, record: Record) -> str:
        return f"blimp/blimp_{record['UID']}"


@TASKS.add("lambada")
class Lambada(Likelihood):
    """The last word of a passage, which the whole passage makes clear (Paperno et al. 2016), in OpenAI's version. The
    model generates the word itself, token by token."""

    files = ("*lambada*",)
    hub = Place("EleutherAI/lambada_openai", "default", "test")
    fields = ("text",)
    metrics = ("greedy",)
    harness = "lambada/lambada_openai"

    def item(self, record: Record) -> Item:
        *before, last = record["text"].split(" ")
        return choices(" ".join(before), (last,), 0)

    def record(self, raw: Mapping[str, Any], file: Path | None) -> Record:
        if "continuation" in raw:
            return {"text": f"{raw['context']} {raw['continuation']}"}
        return {"text": raw["text"]}
