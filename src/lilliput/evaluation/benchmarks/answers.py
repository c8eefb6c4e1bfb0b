"""Tasks by generation, marked against right answers: GSM8K, Natural Questions, CoQA, FairytaleQA."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from lilliput.base.errors import DataError
from lilliput.evaluation.benchmarks.task import TASKS, Generation, Place, Record, Tools

NUMBER = re.compile(r"-?\$?\d[\d,]*(?:\.\d+)?")
STATED = re.compile(r"####\s*(-?\$?[\d.,]+)")


@TASKS.add("gsm8k")
class Gsm8k(Generation):
    """Word problems of primary school (Cobbe et al. 2021), without examples. `acc` marks the number after '####', or
    the last number of an answer without '####'. `strict` marks only a number after '####'."""

    files = ("*gsm8k*test*", "*gsm8k*")
    hub = Place("openai/gsm8k", "main", "test")
    fields = ("question", "answer")
    metrics = ("acc", "strict")
    stops = ("Question:", "</s>", "<|im_end|>")

    def prompt(self, record: Record) -> str:
        return f"Question: {record['question']}\nAnswer:"

    def marks(self, record: Record, answer: Any, tools: Tools) -> dict[str, float]:
        right = stated(record["answer"])
        if right is None:
            raise DataError(f"the right answer has no number after '####': {record['answer'][-60:]!r}")
        marked = stated(answer)
        found = marked if marked is not None else last_number(answer)
        return {"acc": float(found == right), "strict": float(marked == right)}


def stated(text: str) -> float | None:
    """Return the number after '####', or None."""
    match = STATED.search(text)
    return _number(match[1]) if match else None


def last_number(text: str) -> float | None:
    """Return the last number in a text, or None. Commas may separate thousands."""
    found = NUMBER.findall(text)
    return _number(found[-1]) if found else None


def _number(text: str) -> float | None:
    try:
        return float(text.replace(",", "").replace("$", "").rstrip("."))
    except ValueError:
        return None


OTHERS = 8
"""The right answers of this many other items are scored on each item; their mean is the chance score."""


class Compared(Generation):
    """Answers that are compared with the right answers by words. The chance score is the mean score of the right
    answers of the next `OTHERS` items, 0 for a single item. `exact` has degrees where several people answered."""

    graded = ("f1", "exact")

    def right(self, record: Record) -> str:
        """Return a right answer to the record's question."""
        raise NotImplementedError

    def chances(self, records: Sequence[Record], metric: str, tools: Tools) -> list[float]:
        steps = range(1, min(OTHERS, len(records) - 1) + 1)
        found = []
        for place, record in enumerate(records):
            others = [self.right(records[(place + step) % len(records)]) for step in steps]
            marks = [self.marks(record, other, tools)[metric] for other in others]
            found.append(sum(marks) / len(marks) if marks else 0.0)
        return found


@TASKS.add("nq_open")
class NqOpen(Compared):
    """Questions that people asked a search engine (Kwiatkowski et al. 2019), without a text to find the answer in."""

    files = ("*nq_open*",)
    hub = Place("google-research-datasets/nq_open", None, "validation")
    fields = ("question", "answer")
    metrics = ("exact", "f1")
    stops: ClassVar[tuple[str, ...]] = ("\n", ".", ",")
    max_tokens = 32

    def right(self, record: Record) -> str:
        return record["answer"][0] if isinstance(record["answer"], list) else record["answer"]

    def prompt(self, record: Record) -> str:
        return f"Q: {record['question']}?\nA:"

    def marks(self, record: Record, answer: Any, tools: Tools) -> dict[str, float]:
        return compare(answer, record["answer"], leave_one_out=False)


@TASKS.add("coqa")
class Coqa(Compared):
    """Conversations about a passage (Reddy et al. 2019): the last question of each, with the earlier answers given. It
    is marked as by its authors: each of several human answers is left out in turn, and the best of the rest counts."""

    files = ("*coqa*",)
    hub = Place("EleutherAI/coqa", None, "validation")
    fields = ("story", "questions", "answers", "others")
    metrics = ("f1", "exact")
    stops: ClassVar[tuple[str, ...]] = ("\nQ:", "\n")
    max_tokens = 48

    def record(self, raw: Mapping[str, Any], file: Path | None) -> Record:
        others = raw.get("additional_answers") or {}
        return {
            "story": raw["story"],
            "questions": _texts(raw["questions"]),
            "answers": _texts(raw["answers"]),
            "others": [_texts(rest)[-1] for rest in others.values() if _texts(rest)],
        }

    def right(self, record: Record) -> str:
        return record["answers"][-1]

    def prompt(self, record: Record) -> str:
        before = zip(record["questions"][:-1], record["answers"], strict=False)
        turns = "".join(f"Q: {question}\n\nA: {answer}\n\n" for question, answer in before)
        return f"{record['story']}\n\n{turns}Q: {record['questions'][-1]}\n\nA:"

    def marks(self, record: Record, answer: Any, tools: Tools) -> dict[str, float]:
        return compare(answer, [record["answers"][-1], *record["others"]], leave_one_out=True)


def _texts(turns: Any) -> list[str]:
    """Return the turns' texts, from the authors' file (a list of turns) or the hub's record (lists by field)."""
    return list(turns["input_text"]) if isinstance(turns, Mapping) else [turn["input_text"] for turn in turns]


@TASKS.add("fairytaleqa")
class FairytaleQA(Compared):
    """Questions about fairy tales (Xu et al. 2022), with the tale before the question; marked like CoQA."""

    files = ("*fairytaleqa*",)
    fields = ("text", "question", "answers")
    metrics = ("f1", "exact")
    stops: ClassVar[tuple[str, ...]] = ("\n",)
    max_tokens = 48

    def records(self, raw: Mapping[str, Any], file: Path | None) -> list[Record]:
        return [
            {
                "text": raw["text"],
                "question": asked["question"],
                "answers": [asked[name] for name in ("answer1", "answer4") if asked.get(name)],
            }
            for asked in raw["questions"]
        ]

    def right(self, record: Record) -> str:
        return record["answers"][0]

    def prompt(self, record: Record) -> str:
        return f"{record['text']}\n\nQ: {record['question']}\n\nA:"

    def marks(self, record: Record, answer: Any, tools: Tools) -> dict[str, float]:
        return compare(answer, record["answers"], leave_one_out=True)


def compare(answer: str, right: Sequence[str], leave_one_out: bool) -> dict[str, float]:
    """Return `exact`, 1 where the normalised answer is one of the right answers, and `f1`, the best overlap in words
    with a right answer. With `leave_one_out` and several right answers, both are means over leaving out each right
    answer, because people are scored in this way against the other people."""
    right = list(dict.fromkeys(right))
    sets = [right]
    if leave_one_out and len(right) > 1:
        sets = [[*right[:i], *right[i + 1 :]] for i in range(len(right))]
    exact = [max(float(_words(answer) == _words(gold)) for gold in golds) for golds in sets]
    overlap = [max(f1(answer, gold) for gold in golds) for golds in sets]
    return {"f1": sum(overlap) / len(sets), "exact": sum(exact) / len(sets)}


def f1(answer: str, gold: str) -> float:
    """Return the harmonic mean of precision and recall in words, as in SQuAD (Rajpurkar et al. 2016) and CoQA: in lower
    case, without punctuation and articles. Two empty texts have the score 1."""
    given, wanted = _words(answer), _words(gold)
    if not given or not wanted:
        return float(given == wanted)
    # Shared words, each as often as both texts have it: "a b b" and "b b c" share two.
    same = sum((Counter(given) & Counter(wanted)).values())
    return 2 * same / (len(given) + len(wanted))


def _words(text: str) -> list[str]:
    bare = "".join(character for character in text.lower() if character not in string.punctuation)
    return [word for word in bare.split() if word not in ("a", "an", "the")]
