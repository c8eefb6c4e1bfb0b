"""Kinds of exercises: a missing part to fill in, questions on a text, the same text in other words, code that runs."""

from __future__ import annotations

import re
from random import Random
from typing import Any, Literal

from pydantic import Field

from lilliput.evaluation.sandbox import run_program
from lilliput.worlds.exercises.exercise import EXERCISES, Ask, Draft, Exercise, Refused

SENTENCE = re.compile(r"\S.*?[.!?…][\"'”’)]*(?=\s|$)", re.DOTALL)
WORD = re.compile(r"\w+(?:['’-]\w+)*")
GAP = "____"
FILL = """A part of the text below was taken out, where {gap} stands.

{context}

First reason in one or two sentences about what is missing. Then write a line that begins with "Answer:" and gives the
missing words, and nothing else."""
QUESTION = """Read the text.

{text}

Write one question that a reader can answer from the text alone, and its answer in at most {words} words. Write two
lines: "Question: ..." and "Answer: ..."."""
CHECK = """Read the text.

{text}

{question}
Answer in at most {words} words, with the words of the text."""
REPHRASE = """Write the text below again in other, {style} words. Keep all names, numbers and events. Add nothing.

{text}"""
CODE = """Write a small exercise in Python about this text:

{text}

Write one Python program in a block that begins with ```python and ends with ```. It has one function with a docstring
that states the task, and then at least two lines with `assert` that call the function. It imports nothing but the
standard library, and prints nothing."""


def words_of(text: str) -> list[str]:
    """Return the words of a text in small letters."""
    return [word.lower() for word in WORD.findall(text)]


def agreement(one: str, other: str) -> float:
    """Return how far two answers agree: F1 of their words without articles, as SQuAD counts it (Rajpurkar et al. 2016,
    arXiv:1606.05250)."""
    first, second = (sorted(set(words_of(text)) - {"a", "an", "the"}) for text in (one, other))
    shared = len(set(first) & set(second))
    return 2 * shared / (len(first) + len(second)) if shared else 0.0


def line_of(answer: str, name: str) -> str:
    """Return what stands behind "NAME:" in a line of an answer. Raises Refused where there is no such line."""
    found = re.findall(rf"^\s*\**{name}\**\s*:\s*(.+?)\s*$", answer, re.MULTILINE | re.IGNORECASE)
    if not found:
        raise Refused(f"no line begins with {name}")
    return found[-1].strip().strip("*").strip()


@EXERCISES.add("fill")
class Fill(Exercise):
    """Some words of a sentence are taken out. The model reasons about them and names them, and its answer has to be
    these words."""

    kind: Literal["fill"] = "fill"
    words: int = Field(default=2, ge=1, le=12, description="words that are taken out")
    least: float = Field(default=1.0, gt=0, le=1, description="least agreement with the missing words (F1)")

    def draft(self, text: str, random: Random) -> Draft:
        places = list(WORD.finditer(text))
        if len(places) < 4 * self.words + 12:
            raise Refused("the seed text is too short")
        first = random.randrange(len(places) // 4, len(places) - self.words)
        start, stop = places[first].start(), places[first + self.words - 1].end()
        context = f"{text[:start]}{GAP}{text[stop:]}"
        return Draft(FILL.format(gap=GAP, context=context), {"context": context, "missing": text[start:stop]})

    def row(self, draft: Draft, answer: str, check: Ask) -> dict[str, Any]:
        given, missing = line_of(answer, "answer"), draft.known["missing"]
        if agreement(given, missing) < self.least:
            raise Refused("the answer is not what was taken out")
        reasoning = re.split(r"^\s*\**answer\**\s*:", answer, flags=re.MULTILINE | re.IGNORECASE)[0].strip()
        if not reasoning:
            raise Refused("there is no reasoning")
        prompt = f"What is missing at {GAP}?\n\n{draft.known['context']}"
        return {"prompt": prompt, "completion": f"{reasoning}\nAnswer: {missing}", "answer": missing}


@EXERCISES.add("question")
class Question(Exercise):
    """A question that the text answers. A second reading of the text, without the first answer, has to agree."""

    kind: Literal["question"] = "question"
    words: int = Field(default=8, ge=1, description="most words of an answer")
    least: float = Field(default=0.6, gt=0, le=1, description="least agreement of the two answers (F1)")

    def draft(self, text: str, random: Random) -> Draft:
        if len(words_of(text)) < 20:
            raise Refused("the seed text is too short")
        return Draft(QUESTION.format(text=text, words=self.words), {"text": text})

    def row(self, draft: Draft, answer: str, check: Ask) -> dict[str, Any]:
        question, given = line_of(answer, "question"), line_of(answer, "answer")
        if not question.endswith("?"):
            raise Refused("the question has no question mark")
        if not 0 < len(words_of(given)) <= self.words:
            raise Refused("the answer is empty or too long")
        text = draft.known["text"]
        if not set(words_of(given)) & set(words_of(text)) and words_of(given)[0] not in ("yes", "no"):
            raise Refused("the answer has no word of the text")
        again = check(CHECK.format(text=text, question=question, words=self.words))
        if agreement(given, again) < self.least:
            raise Refused("a second reading answers otherwise")
        return {"prompt": f"{text}\n\n{question}", "completion": given}


@EXERCISES.add("rephrase")
class Rephrase(Exercise):
    """The same text in other words: no copy, of about the same length, with the same numbers and names."""

    kind: Literal["rephrase"] = "rephrase"
    style: str = Field(default="simple", description="how the new text is to be written, such as simple or lively")
    most_copied: float = Field(default=0.5, ge=0, le=1, description="largest share of runs of five words that are old")

    def draft(self, text: str, random: Random) -> Draft:
        if len(words_of(text)) < 12:
            raise Refused("the seed text is too short")
        return Draft(REPHRASE.format(text=text, style=self.style), {"text": text})

    def row(self, draft: Draft, answer: str, check: Ask) -> dict[str, Any]:
        old, new = draft.known["text"], answer.strip()
        before, after = words_of(old), words_of(new)
        if not len(before) / 2 <= len(after) <= 2 * len(before):
            raise Refused("the new text is much longer or shorter")
        runs = [{tuple(words[at : at + 5]) for at in range(len(words) - 4)} for words in (before, after)]
        if len(runs[0] & runs[1]) > self.most_copied * max(len(runs[1]), 1):
            raise Refused("the new text is a copy")
        if kept_facts(old) - kept_facts(new):
            raise Refused("a name or a number is missing")
        return {"text": new}


def kept_facts(text: str) -> set[str]:
    """Return the numbers of a text, and the words that have a capital letter within a sentence."""
    names = {found[1] for found in re.finditer(r"(?<=[a-z,;] )([A-Z]\w+)", text)}
    return names | set(re.findall(r"\d+(?:[.,]\d+)*", text))


@EXERCISES.add("code")
class Code(Exercise):
    """A function with a task and checks. The program has to run in the sandbox, and one of its checks has to fail where
    the function returns nothing."""

    kind: Literal["code"] = "code"

    def draft(self, text: str, random: Random) -> Draft:
        return Draft(CODE.format(text=text))

    def row(self, draft: Draft, answer: str, check: Ask) -> dict[str, Any]:
        found = re.search(r"```(?:python)?\s*\n(.*?)```", answer, re.DOTALL)
        if found is None:
            raise Refused("there is no block of code")
        program = found[1].strip()
        asserts = [line for line in program.splitlines() if line.startswith("assert ")]
        head = re.search(
            r"^(def (\w+)\(.*?\).*?:\n\s+(?:\"\"\"|''')(.*?)(?:\"\"\"|'''))", program, re.DOTALL | re.MULTILINE
        )
        if len(asserts) < 2 or head is None:
            raise Refused("the program has no documented function with two checks")
        if run_program(program) != "passed":
            raise Refused("the program does not run")
        empty = f"\ndef {head[2]}(*values, **named):\n    return None\n"
        if run_program(program.replace(asserts[0], empty + asserts[0], 1)) == "passed":
            raise Refused("the checks pass whatever the function returns")
        function = program[: program.index(asserts[0])].strip()
        return {"prompt": f"{head[3].strip()}\n\n{head[1]}", "completion": function, "checks": "\n".join(asserts)}
