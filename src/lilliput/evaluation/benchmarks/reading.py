"""Reading by likelihood: BoolQ, RTE, CB, SST-2, MRPC."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lilliput.evaluation.benchmarks.task import TASKS, Item, Likelihood, Place, Record, choices


@TASKS.add("boolq")
class BoolQ(Likelihood):
    """Questions about a passage (Clark et al. 2019), answered yes or no. Chance is 1/2; always yes scores 0.62."""

    files = ("*boolq*",)
    hub = Place("aps/super_glue", "boolq", "validation")
    fields = ("question", "passage", "label")
    harness = "super_glue/boolq/boolq"

    def item(self, record: Record) -> Item:
        context = f"{record['passage']}\nQuestion: {record['question']}?\nAnswer:"
        return choices(context, ("no", "yes"), int(record["label"]))

    def record(self, raw: Mapping[str, Any], file: Path | None) -> Record:
        return {**raw, "label": int(raw["answer"])} if "answer" in raw else dict(raw)


@TASKS.add("rte")
class Rte(Likelihood):
    """Does the second sentence follow from the first (GLUE, Wang et al. 2019)?"""

    files = ("*glue.rte*", "rte.*")
    hub = Place("nyu-mll/glue", "rte", "validation")
    fields = ("sentence1", "sentence2", "label")
    harness = "glue/rte/rte"

    def item(self, record: Record) -> Item:
        context = f"{record['sentence1']}\nQuestion: {record['sentence2']} True or False?\nAnswer:"
        return choices(context, ("True", "False"), int(record["label"]))


@TASKS.add("cb")
class Cb(Likelihood):
    """CommitmentBank: does the speaker believe the hypothesis (SuperGLUE, Wang et al. 2019)?"""

    files = ("*super_glue.cb*", "cb.*")
    hub = Place("aps/super_glue", "cb", "validation")
    fields = ("premise", "hypothesis", "label")
    harness = "super_glue/cb/cb"

    def item(self, record: Record) -> Item:
        context = f"{record['premise']}\nQuestion: {record['hypothesis']}. True, False, or Neither?\nAnswer:"
        return choices(context, ("True", "False", "Neither"), int(record["label"]))


@TASKS.add("sst2")
class Sst2(Likelihood):
    """Is a sentence of a film review positive (Socher et al. 2013)?"""

    files = ("*sst2*",)
    hub = Place("nyu-mll/glue", "sst2", "validation")
    fields = ("sentence", "label")
    harness = "glue/sst2/sst2"

    def item(self, record: Record) -> Item:
        context = f"{record['sentence']}\nQuestion: Is this sentence positive or negative?\nAnswer:"
        return choices(context, ("negative", "positive"), int(record["label"]))


@TASKS.add("mrpc")
class Mrpc(Likelihood):
    """Do two sentences mean the same (Dolan and Brockett 2005)? Chance is 1/2; always yes scores 0.68."""

    files = ("*mrpc*",)
    hub = Place("nyu-mll/glue", "mrpc", "validation")
    fields = ("sentence1", "sentence2", "label")
    harness = "glue/mrpc/mrpc"

    def item(self, record: Record) -> Item:
        context = (
            f"Sentence 1: {record['sentence1']}\nSentence 2: {record['sentence2']}\n"
            "Question: Do both sentences mean the same thing?\nAnswer:"
        )
        return choices(context, ("no", "yes"), int(record["label"]))
