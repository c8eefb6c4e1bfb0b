"""Annotation: a language model behind an OpenAI-compatible endpoint grades each document."""

from __future__ import annotations

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import lru_cache
from typing import Literal

from pydantic import Field

from lilliput.base.endpoint import Judge
from lilliput.data.document import Document
from lilliput.data.steps.step import STEPS, Dropped, Step

PROMPT = """Grade how useful the text below is for teaching a small language model plain, correct English.
0: no sentences, spam or noise. 1: hard to read. 2: adult prose. 3: plain prose. 4: plain and well told. 5: excellent.

Text:
{text}

Answer with the number alone."""


@STEPS.add("annotate")
class Annotate(Step):
    """Has a language model grade each document, keeps the grade in the document's meta, and drops documents with a
    small grade. Answers are cached by question, so that a second run asks nothing. The text leaves this machine where
    the endpoint is on another one."""

    kind: Literal["annotate"] = "annotate"
    endpoint: str = Field(description="the address of the endpoint, such as http://127.0.0.1:8000/v1")
    model: str = Field(description="the name of the model there")
    prompt: str = Field(default=PROMPT, description="the question; {text} stands for the document's text")
    field: str = Field(default="grade", description="the name of the grade in the document's meta")
    least: float | None = Field(default=3, description="the least grade that is kept; null: all documents are kept")
    max_characters: int = Field(default=4000, gt=0, description="characters of a document that the model reads")
    parallel: int = Field(default=8, ge=1, description="questions that are sent at a time")

    def apply_all(self, documents: Sequence[Document]) -> list[Document | Dropped]:
        judge = _judge(self.endpoint, self.model)
        with ThreadPoolExecutor(self.parallel) as pool:
            grades = list(pool.map(lambda document: judge.ask(self._messages(document), _grade), documents))
        return [self._outcome(document, grade) for document, grade in zip(documents, grades, strict=True)]

    def apply(self, document: Document) -> Document | Dropped:
        return self.apply_all([document])[0]

    def _messages(self, document: Document) -> list[dict[str, str]]:
        text = document.text[: self.max_characters]
        return [{"role": "user", "content": self.prompt.replace("{text}", text)}]

    def _outcome(self, document: Document, grade: float) -> Document | Dropped:
        if self.least is not None and grade < self.least:
            return Dropped(f"{self.field} below {self.least:g}")
        return replace(document, meta={**document.meta, self.field: grade})


@lru_cache(maxsize=8)
def _judge(endpoint: str, model: str) -> Judge:
    return Judge(endpoint, model)


def _grade(answer: str) -> float:
    """Return the number of an answer. Raises ValueError for an answer with no number, or with several."""
    numbers = re.findall(r"-?\d+(?:\.\d+)?", answer)
    if len(numbers) != 1:
        raise ValueError(f"the answer has to be one number, and is {answer[:80]!r}")
    return float(numbers[0])
