"""The marks of the TinyStories paper (Eldan and Li 2023): five grades and an age group, given after a rationale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lilliput.base import seeds
from lilliput.base.endpoint import Judge, Message
from lilliput.base.reading import from_json

CRITERIA = ("grammar", "creativity", "consistency", "plot", "instruction")
AGES = {"A": "3 or under", "B": "4-5", "C": "6-7", "D": "8-9", "E": "10-12", "F": "13-16"}

SYSTEM = "You are a careful teacher who marks stories that students complete. You answer with one JSON object."
QUESTION = """\
A student was given the beginning of a story and asked to complete it. The sign *** stands between the given beginning \
and the student's part. Mark the student's part only.

{beginning}***{completion}

Answer with one JSON object with exactly these keys, in this order:
"rationale": two or three sentences on what is good and what is wrong in the student's part; write this first
"grammar": 0 to 10
"creativity": 0 to 10
"consistency": 0 to 10, with the beginning and in itself
"plot": 0 to 10, whether it makes sense as a story
"instruction": 0 to 10, how well it does what was asked: to go on from the beginning, in its style, to an end
"age_group": the letter of your best guess at the student's age: {ages}
"""


@dataclass(frozen=True, slots=True)
class JudgedStory:
    """A story to be marked: the prompt (`beginning`) and the completion."""

    beginning: str
    completion: str


@dataclass(frozen=True, slots=True)
class Marks:
    """A judge's marks of a story; `grades` by criterion, 0 to 10."""

    rationale: str
    grades: dict[str, float]
    age_group: str


def question(story: JudgedStory) -> list[Message]:
    """Return the messages that ask a judge for a story's marks."""
    ages = ", ".join(f"{letter}: {years}" for letter, years in AGES.items())
    text = QUESTION.format(beginning=story.beginning, completion=story.completion, ages=ages)
    return [{"role": "system", "content": SYSTEM}, {"role": "user", "content": text}]


def read_marks(answer: str) -> Marks:
    """Read the marks from the judge's answer. Raises ValueError for an answer without a JSON object, for a rationale
    that does not come first, and for grades that are missing or outside 0 to 10."""
    start, stop = answer.find("{"), answer.rfind("}")
    if start < 0 or stop < start:
        raise ValueError("the answer holds no JSON object")
    values = from_json(answer[start : stop + 1])
    if not isinstance(values, dict) or next(iter(values), None) != "rationale" or not str(values["rationale"]).strip():
        raise ValueError("the rationale does not come before the grades")
    grades = {}
    for name in CRITERIA:
        value = values.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 10:
            raise ValueError(f"the grade for {name} is {value!r}, not a number from 0 to 10")
        grades[name] = float(value)
    age = str(values.get("age_group", "")).strip()[:1].upper()
    if age not in AGES:
        raise ValueError(f"the age group {values.get('age_group')!r} is none of {', '.join(AGES)}")
    return Marks(str(values["rationale"]), grades, age)


def mark_stories(
    judge: Judge, stories: Sequence[JudgedStory], twice: float = 0.1, seed: int = 0
) -> tuple[list[Marks], list[tuple[Marks, Marks]]]:
    """Return every story's marks, and pairs of marks of the share `twice` of the stories, which are marked a second
    time.

    The text of a story and `seed` decide whether it is in this share. The difference between the marks of a pair is the
    judge's own noise. Raises JudgeError."""
    marks, pairs = [], []
    for story in stories:
        asked = question(story)
        first = judge.ask(asked, read_marks)
        marks.append(first)
        if seeds.derive(seed, "twice", story.beginning, story.completion) < twice * 2**64:
            pairs.append((first, judge.ask(asked, read_marks, sample=1)))
    return marks, pairs


def noise(pairs: Sequence[tuple[Marks, Marks]]) -> dict[str, float]:
    """Return the standard deviation of a mark by criterion, from stories marked twice: sqrt(mean(difference^2) / 2).
    Empty where no story was marked twice. The 2 is there because a difference has the variance of two marks."""
    if not pairs:
        return {}
    return {
        name: (sum((a.grades[name] - b.grades[name]) ** 2 for a, b in pairs) / len(pairs) / 2) ** 0.5
        for name in CRITERIA
    }
